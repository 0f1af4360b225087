"""Scrubbing: the value goes, in every form and across every cut; nothing else changes."""

from __future__ import annotations

import itertools
from base64 import b64decode, b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.credentials.scrub import Scrubber

VALUE = b"sk-ant-test-REAL-0123456789abcdef+/"
STAND_IN = b"sk-ant-test-FAKE-fedcba9876543210xx"


def scrubber() -> Scrubber:
    return Scrubber([(VALUE, STAND_IN)])


def in_pieces(one: Scrubber, data: bytes, cuts: list[int]) -> bytes:
    stream = one.stream()
    points = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    out = b"".join(stream.feed(data[a:b]) for a, b in itertools.pairwise(points))
    return out + stream.finish()


def test_plain() -> None:
    assert scrubber().octets(b"a" + VALUE + b"b") == b"a" + STAND_IN + b"b"
    assert Scrubber([(b"another", b"x" * 7)]).octets(b"a" + VALUE + b"b") == b"a" + VALUE + b"b"


@pytest.mark.parametrize("urlsafe", [False, True])
@given(before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_base64_at_every_alignment(urlsafe: bool, before: bytes, after: bytes) -> None:
    encoded = (urlsafe_b64encode if urlsafe else b64encode)(before + VALUE + after)
    clean = scrubber().octets(encoded)
    assert len(clean) == len(encoded)
    # Whoever decodes it does not get the value, nor any long part of it.
    assert VALUE[12:-2] not in b64decode(clean, altchars=b"-_" if urlsafe else None)


@given(st.binary(max_size=30), st.binary(max_size=30), st.lists(st.integers(0, 200)))
def test_cuts_make_no_difference(before: bytes, after: bytes, cuts: list[int]) -> None:
    data = before + VALUE + after + VALUE
    one = scrubber()
    assert in_pieces(one, data, cuts) == one.octets(data)
    assert VALUE not in in_pieces(one, data, cuts)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_other_octets_stay(data: bytes, cuts: list[int]) -> None:
    if VALUE not in data:
        assert in_pieces(scrubber(), data, cuts) == data


def test_no_more_is_held_back_than_may_be_a_value() -> None:
    stream = scrubber().stream()
    assert stream.feed(b"data: event\n\n") == b"data: event\n\n"
    assert stream.feed(b"x" + VALUE[:9]) == b"x"
    assert stream.feed(b"!") == VALUE[:9] + b"!"


def test_the_longer_of_two_values_goes_as_a_whole() -> None:
    one = Scrubber([(b"secret-1", b"PPPPPPPP"), (b"secret-1-and-more", b"QQQQQQQQQQQQQQQQQ")])
    assert one.octets(b"secret-1-and-more") == b"Q" * 17


@pytest.mark.parametrize(("length", "kept"), [(len(VALUE), True), (5, False)])
def test_whether_the_length_is_kept(length: int, kept: bool) -> None:
    assert Scrubber([(VALUE, b"x" * length)]).keeps_length is kept
