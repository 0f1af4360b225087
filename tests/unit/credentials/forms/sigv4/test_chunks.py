"""Bodies in signed chunks, octet by octet."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.credentials.forms.sigv4.chunks import MAX_CHUNK, MAX_TRAILERS, Chain, SignedChunks

NONE = b"0" * 64


def sign(text: str) -> str:
    """Not HMAC: what is signed decides, and nothing else."""
    return sha256(text.encode()).hexdigest()


def chunks(*, trailers: bool = False) -> SignedChunks:
    return SignedChunks(Chain(sign, "20130524T000000Z", "20130524/r/s3/aws4_request", "seed"), trailers=trailers)


def expected(parts: list[bytes], trailer: bytes = b"") -> bytes:
    """As the documents have it: each link with the signature of the one before."""
    previous, out = "seed", b""
    common = "20130524T000000Z\n20130524/r/s3/aws4_request"
    for part in [*parts, b""]:
        hashes = f"{sha256(b'').hexdigest()}\n{sha256(part).hexdigest()}"
        previous = sign(f"AWS4-HMAC-SHA256-PAYLOAD\n{common}\n{previous}\n{hashes}")
        out += b"%x;chunk-signature=%b\r\n" % (len(part), previous.encode()) + (part + b"\r\n" if part else b"")
    if trailer:
        hashed = sha256(trailer + b"\n").hexdigest()
        signed = sign(f"AWS4-HMAC-SHA256-TRAILER\n{common}\n{previous}\n{hashed}")
        out += trailer + b"\r\nx-amz-trailer-signature:" + signed.encode() + b"\r\n"
    return out + b"\r\n"


def sent(parts: list[bytes], trailer: bytes = b"", size: str = "%x") -> bytes:
    out = b"".join((size % len(p)).encode() + b";chunk-signature=" + NONE + b"\r\n" + p + b"\r\n" for p in parts)
    end = trailer + b"\r\nx-amz-trailer-signature:" + NONE + b"\r\n" if trailer else b""
    return out + b"0;chunk-signature=" + NONE + b"\r\n" + end + b"\r\n"


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=5),
    st.sampled_from([b"", b"x-amz-checksum-crc32:AAAA"]),
    st.lists(st.integers(1, 200), max_size=20),
)
def test_however_it_is_cut(parts: list[bytes], trailer: bytes, cuts: list[int]) -> None:
    whole, body, out = sent(parts, trailer), chunks(trailers=bool(trailer)), b""
    for cut in cuts:
        out += body.feed(whole[:cut])
        whole = whole[cut:]
    assert out + body.feed(whole, last=True) == expected(parts, trailer)


def test_sizes_stay_as_they_are_written() -> None:
    """The whole has the length that was announced."""
    whole = sent([b"a" * 10, b"b" * 11], size="%08X")
    assert len(chunks().feed(whole, last=True)) == len(whole)


@pytest.mark.parametrize("trailers", [False, True])
@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"hello\r\n",
        b"5;chunk-signature=" + NONE[1:] + b"\r\nhello\r\n",
        b"5;chunk-signature=" + NONE + b"\r\nhello!\r\n",
        b"5;chunk-signature=" + NONE + b"\r\nhell",
        b"5;chunk-signature=" + NONE + b"\nhello\r\n",
        b"-5;chunk-signature=" + NONE + b"\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;chunk-signature=" + NONE + b";x=y\r\nhello\r\n",
        b"%x;chunk-signature=" % (MAX_CHUNK + 1) + NONE + b"\r\n",
        sent([b"x"]) + b"more\r\n",
        sent([b"x"]) + sent([b"y"]),
        sent([b"x"])[:-2] + b"x-amz-checksum-crc32:AAAA\r\n x: folded\r\n",
        sent([b"x"], b"x-amz-checksum-crc32:AAAA") + b"x-amz-checksum-crc32:BBBB\r\n",
        sent([b"x"], b"a:b") + b"x-amz-trailer-signature:" + NONE + b"\r\n",
        sent([b"x"])[:-2] + b"a:" + b"b" * MAX_TRAILERS + b"\r\n",
        sent([b"x"])[:-2] + b"a:" + b"b" * MAX_TRAILERS,
    ],
)
def test_what_is_no_such_body_is_not_passed_on(broken: bytes, trailers: bool) -> None:
    with pytest.raises(ClientError):
        chunks(trailers=trailers).feed(broken, last=True)


def test_trailers_have_to_be_announced_and_to_come() -> None:
    with pytest.raises(ClientError):
        chunks(trailers=False).feed(sent([b"x"], b"a:b"), last=True)
    with pytest.raises(ClientError):
        chunks(trailers=True).feed(sent([b"x"]), last=True)


@given(st.binary(max_size=200), st.booleans())
def test_anything_else_is_refused(data: bytes, trailers: bool) -> None:
    with pytest.raises(ClientError):
        chunks(trailers=trailers).feed(data, last=True)
