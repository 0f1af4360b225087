"""Whether a text is among others: the same answer as looking for one after the other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outward.credentials.needles import LONG, Needles

# Few different octets, so that needles overlap, share their beginnings and stand in the text by chance.
FEW = st.text("ab", max_size=3 * LONG).map(str.encode)
ANY = st.binary(max_size=2 * LONG)
NEEDLES = st.lists(FEW | ANY, max_size=6)


@settings(max_examples=500)
@given(NEEDLES, st.lists(FEW | ANY, max_size=5).map(b"".join))
def test_like_looking_for_one_after_the_other(needles: list[bytes], text: bytes) -> None:
    one = Needles(needles)
    expected = any(needle in text for needle in needles if needle)
    assert (one.scan(text), one.search(text), one.among(text)) == (expected, expected, expected)


@settings(max_examples=300)
@given(NEEDLES, st.data(), ANY, ANY)
def test_what_is_there_is_found_wherever_it_stands(
    needles: list[bytes], data: st.DataObject, before: bytes, after: bytes
) -> None:
    wanted = [needle for needle in needles if needle]
    if wanted:
        assert Needles(needles).scan(before + data.draw(st.sampled_from(wanted)) + after)


@pytest.mark.parametrize("length", [1, 2, LONG - 1, LONG, LONG + 1, 255, 256, 257, 1000])
def test_every_length_at_every_place(length: int) -> None:
    needle = bytes(97 + number % 23 for number in range(length))
    one = Needles([needle, b"z" * (length + 3)])
    for place in range(0, 600, 7):
        assert one.scan(b"." * place + needle + b"." * (600 - place))
        assert not one.scan(b"." * place + needle[1:] + b"." * (600 - place))
        assert not one.scan(b"." * place + needle[:-1] + b"." * (600 - place))


def test_nothing_is_among_nothing() -> None:
    assert not Needles([]).scan(b"x" * 1000)
    assert not Needles([b""]).scan(b"")
    assert not Needles([b"x" * LONG]).scan(b"")
