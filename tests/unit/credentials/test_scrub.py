"""Scrubbing: the value goes, in every form and across every cut; nothing else changes."""

from __future__ import annotations

import html
import itertools
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outward.core import Secret, SecretUnavailable
from outward.credentials.escapes import Percents
from outward.credentials.forms.header import header_text
from outward.credentials.scrub import Scrubber, in_base64
from tests.support.search import found

if TYPE_CHECKING:
    from collections.abc import Callable

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


def spelled(value: bytes, choose: Callable[[int], int]) -> bytes:
    """``value`` with each character in one of the ways in which programs write it."""
    ways = (
        "{}",
        "%{:02x}",
        "%{:02X}",
        "%25{:02x}",
        "\\u{:04x}",
        "\\u{:04X}",
        "\\\\u{:04x}",
        "\\x{:02x}",
        "&#{};",
        "&#x{:x};",
    )
    return b"".join(
        bytes([octet]) if way == "{}" else way.format(octet).encode()
        for octet, way in ((octet, ways[choose(i) % len(ways)]) for i, octet in enumerate(value))
    )


@pytest.mark.parametrize("way", range(10))
@pytest.mark.parametrize("value", [VALUE, b'p/a"s s\\w%o&r<d+'])
def test_escaped_in_every_way(value: bytes, way: int) -> None:
    text = b"<" + spelled(value, lambda _: way) + b">"
    assert Scrubber([(value, b"FAKE")]).octets(text) == b"<FAKE>"
    assert Scrubber([(value, b"FAKE")]).text(text.decode("latin-1")) == "<FAKE>"


@pytest.mark.parametrize(
    "text",
    [
        quote_plus(b'p/a"s s+%').encode(),
        quote(b'p/a"s s+%').encode(),
        json.dumps('p/a"s s+%').replace("/", "\\/").encode(),
        json.dumps(json.dumps('p/a"s s+%')).encode(),
        html.escape('p/a"s s+%').encode(),
        b'p/a"s s+%'.hex().encode(),
        b'p/a"s s+%'.hex().upper().encode(),
    ],
)
def test_escaped_as_libraries_do(text: bytes) -> None:
    clean = Scrubber([(b'p/a"s s+%', b"FAKE")]).octets(b"<" + text + b">")
    assert clean.strip(b'<>"\\') in {b"FAKE", b"FAKExxxxx".hex().encode(), b"FAKExxxxx".hex().upper().encode()}


def test_base64_that_is_escaped() -> None:
    value = b"\xff\xfe\xfb\xff\xef\xbe\xff\xfe\xfb"
    for text in (quote(b64encode(value), safe=""), b64encode(value).decode().replace("/", "\\/")):
        assert b"FAKExxxxx" in b64decode(unquote(scrubber_of(value).octets(text.encode()).decode()).replace("\\", ""))


def scrubber_of(value: bytes) -> Scrubber:
    return Scrubber([(value, b"FAKE")])


@given(st.lists(st.integers(0, 9), min_size=36, max_size=36), st.lists(st.integers(0, 400)), st.binary(max_size=9))
def test_cuts_make_no_difference_to_what_is_escaped(ways: list[int], cuts: list[int], after: bytes) -> None:
    data = b"x" + spelled(VALUE, lambda i: ways[i]) + after + spelled(VALUE, lambda i: ways[-i])
    one = scrubber()
    out = in_pieces(one, data, cuts)
    assert out == one.octets(data)
    assert out.count(STAND_IN) == 2
    assert len(out) == len(data), "equally long values and placeholders leave the length announced as it was"


@given(st.text(alphabet='%\\&#;xu0o25736b sk-ant+/"', max_size=300), st.lists(st.integers(0, 300)))
def test_other_escapes_stay(text: str, cuts: list[int]) -> None:
    assert in_pieces(scrubber(), text.encode(), cuts) == text.encode()


def test_no_more_of_an_escape_is_held_back_than_may_be_a_value() -> None:
    stream = scrubber().stream()
    assert stream.feed(b"100%") == b"100"
    assert stream.feed(b" and \\n") == b"% and \\n"
    assert stream.feed(b"%73\\u006b") == b""
    assert stream.feed(b"!") == b"%73\\u006b!"


AMBIGUOUS = 'p/t+REAL=01 23&45\\67%89"ab<cdef%2541\\\\u0041&#65;'


def _url(text: str) -> str:
    return quote(text, safe="")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


@pytest.mark.parametrize("outer", [str, _url, quote_plus, _json])
@pytest.mark.parametrize("inner", [str, _url, quote_plus, _json])
def test_a_value_that_looks_like_escapes_itself(inner: Callable[[str], str], outer: Callable[[str], str]) -> None:
    """Wherever it is cut: half of it may stand for two texts, one of which is none."""
    value, stand_in = AMBIGUOUS, "x" * len(AMBIGUOUS)
    one = Scrubber([(value.encode(), stand_in.encode()), (_json(value).encode(), stand_in.encode())])
    data = b"<" + outer(inner(value)).encode() + b">"
    for cut in range(len(data)):
        assert not found(value, in_pieces(one, data, [cut])), cut
    assert found(value, data)


def test_what_was_encoded_already_is_found_encoded_once_more() -> None:
    basic = b64encode(b"user:" + VALUE)
    for encode in (b64encode, urlsafe_b64encode, lambda data: data.hex().encode()):
        data = encode(b"Basic " + basic)
        assert found(VALUE.decode(), scrubber().octets(data))
        assert not found(VALUE.decode(), Scrubber([(VALUE, STAND_IN)], in_base64(VALUE, STAND_IN)).octets(data))


@example(frozenset({0x00, 0x6F}), [b"%0f"])
@example(frozenset({0x10, 0x6F}), [b"%1f"])
@given(
    st.frozensets(st.integers(0, 255), min_size=1, max_size=40),
    st.lists(
        st.one_of(
            st.sampled_from([b"%", b"25", b"%2", b"x" * 70]), st.binary(max_size=2).map(bytes.hex).map(str.encode)
        )
    ),
)
def test_both_searches_for_escapes_find_the_same(octets: frozenset[int], parts: list[bytes]) -> None:
    percents, data = Percents(octets), b"".join(parts)
    if percents.search(data):
        assert percents.scan(data)
        assert percents.among(data)
    high = {octet >> 4 for octet in octets}
    look_alike = len({digit % 6 for digit in high}) < len(high)  # then the quick one may say yes to more
    if not look_alike and not re.search(b"(?:25){3}", data):
        assert percents.scan(data) is percents.search(data)


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [AMBIGUOUS[:7].encode(), VALUE[:9], b"%", b"\\", b"&#", b"%2", b"\\u00", b"c2stYW50LXRlc", b"data: "]
        ),
        st.binary(max_size=4),
    ),
    max_size=8,
)


@given(PIECES, st.sampled_from([b"\n", b"\n\n", b"\r\n\r\n"]))
def test_the_end_of_an_event_lets_go_of_all(parts: list[bytes], end: bytes) -> None:
    """No value has a line end in it (a header could not hold it), so what ends with one is no beginning of a value."""
    one = Scrubber([(VALUE, STAND_IN), (AMBIGUOUS.encode(), b"x")], in_base64(VALUE, STAND_IN))
    stream, event = one.stream(), b"".join(parts) + end
    assert stream.feed(event) == one.octets(event)
    assert stream.held == 0
    assert stream.feed(b"next") == b"next"


def test_a_value_with_line_ends_would_be_held_back() -> None:
    stream = Scrubber([(b"-----BEGIN KEY-----\nabc", b"x")]).stream()
    assert stream.feed(b"-----BEGIN KEY-----\n") == b""
    with pytest.raises(SecretUnavailable, match="control character"):
        header_text(Secret("pem", b"-----BEGIN KEY-----\nabc"))
