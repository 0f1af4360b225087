"""Bodies, octet by octet (RFC 9112 §6 and §7)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.gateway.http1 import CHUNKED, ChunkedBody, body_reader, chunk

SAMPLE = b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\n\r\n"


def read(data: bytes, cuts: list[int]) -> tuple[bytes, bytes, ChunkedBody]:
    """Feeds ``data`` in pieces and gives payload, what was left over, and the reader."""
    reader = ChunkedBody(ClientError)
    payload, rest = b"", b""
    points = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    for start, end in itertools.pairwise(points):
        if reader.done:
            rest += data[start:end]
            continue
        piece, rest = reader.feed(data[start:end])
        payload += piece
    return payload, rest, reader


@given(st.lists(st.integers(0, 100)))
def test_cuts_make_no_difference(cuts: list[int]) -> None:
    payload, rest, reader = read(SAMPLE + b"GET /next", cuts)
    assert (payload, rest, reader.done) == (b"hello world", b"GET /next", True)


@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(0, 500)))
def test_what_we_write_we_read(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    payload, rest, reader = read(data, cuts)
    assert (payload, rest, reader.done) == (b"".join(pieces), b"", True)


def test_an_empty_chunk_would_end_the_body() -> None:
    assert chunk(b"") == b""


def test_trailers_are_kept_apart() -> None:
    _, rest, reader = read(b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\nrest", [])
    assert (reader.trailers, rest) == ("X-Sum: 1\r\n", b"rest")


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("no number", b"zz\r\n"),
        ("a sign", b"-1\r\n"),
        ("a prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("an underscore that Python's int() would take", b"1_0\r\n"),
        ("white space before the size", b" 5\r\nhello\r\n"),
        ("a size that overflows", b"fffffffffffffffff\r\n"),
        ("bare LF after the size (TE.TE)", b"5\nhello\r\n0\r\n\r\n"),
        ("bare CR in an extension", b"5;a=\rb\r\nhello\r\n"),
        ("a chunk longer than its size", b"5\r\nhelloX\r\n"),
        ("a chunk ended by LF", b"5\r\nhello\n0\r\n\r\n"),
        ("an endless extension (CVE-2023-39326)", b"5;" + b"a" * 300),
        ("an obs-fold in the trailers", b"0\r\nA: b\r\n c\r\n\r\n"),
        ("endless trailers", b"0\r\n" + b"a: b\r\n" * 4000),
    ],
)
def test_broken_chunks_are_refused(what: str, data: bytes) -> None:
    read(SAMPLE, [])
    with pytest.raises(ClientError):
        ChunkedBody(ClientError).feed(data)


@given(st.binary(max_size=50), st.integers(0, 50), st.lists(st.integers(0, 50)))
def test_a_fixed_body_takes_its_own(data: bytes, length: int, cuts: list[int]) -> None:
    reader = body_reader(length, ClientError)
    payload = rest = b""
    for start, end in zip(
        [0, *sorted(c % (len(data) + 1) for c in cuts)],
        [*sorted(c % (len(data) + 1) for c in cuts), len(data)],
        strict=True,
    ):
        if reader.done:
            rest += data[start:end]
        else:
            piece, more = reader.feed(data[start:end])
            payload, rest = payload + piece, rest + more
    assert payload == data[:length]
    assert rest == data[length:]
    assert reader.done is (len(data) >= length)


def test_the_reader_follows_the_framing() -> None:
    assert body_reader(0, ClientError).done
    assert not body_reader(1, ClientError).done
    assert isinstance(body_reader(CHUNKED, ClientError), ChunkedBody)
