"""What a terminal is given to show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core.display import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve – ünïcode/ファイル", "naïve – ünïcode/ファイル"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\tb\nc\r", r"a\tb\nc\r"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("caf\udce9", r"caf\udce9"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_is_not_printable_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_kept_is_named() -> None:
    assert printable("a\tb\nc\x1b", keep="\t\n") == "a\tb\nc\\x1b"


@given(st.text(st.characters(codec=None)))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
