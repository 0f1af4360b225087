"""Placeholders: the shape of the key, and nothing of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.credentials.placeholders import MIN_RANDOM, make_placeholder


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("sk-ant-api03-" + "aB3_" * 20, "sk-ant-api03-"),
        ("sk-ant-test-" + "a" * 30, "sk-ant-"),
        ("ghp_" + "a1B2" * 9, "ghp_"),
        ("AKIA" + "Z" * 16, "AKIA"),
    ],
)
def test_the_kind_of_the_key_shows(value: str, kept: str) -> None:
    text = make_placeholder(value)
    assert text.startswith(kept)
    assert len(text) == len(value)
    assert text != make_placeholder(value)


def test_words_of_a_passphrase_are_not_a_prefix() -> None:
    text = make_placeholder("correct-horse-battery-staple-and-more")
    assert not any(word in text for word in ("correct", "horse", "battery"))


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=60))
def test_a_placeholder_is_random_printable_and_long_enough(value: str) -> None:
    first, second = make_placeholder(value), make_placeholder(value)
    assert value not in {first, second}
    assert first != second
    assert first.isascii()
    assert first.isprintable()
    assert sum(character.isalnum() for character in first) >= MIN_RANDOM
    assert len(first) >= len(value)
