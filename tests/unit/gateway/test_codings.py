"""Content codings undone: whatever pieces they come in, in bounded memory, and nothing that is damaged passes for whole."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outward.core import UpstreamError
from outward.gateway.codings import MAX_CODINGS, PIECE, Decoding
from tests.support.codings import ENCODERS, flusher

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


each_coding = pytest.mark.parametrize(
    ("coding", "encode"), [(name.partition(" ")[0], encode) for name, encode in ENCODERS.items()], ids=ENCODERS
)


def decoded(codings: Sequence[str], encoded: bytes, cuts: Sequence[int] = ()) -> bytes:
    """What comes out, with the body cut at these places."""
    decoding = Decoding(codings)
    out = b""
    points = sorted({0, len(encoded), *(cut % (len(encoded) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(points):
        decoding.feed(encoded[start:end])
        while decoding.more:
            out += decoding.take()
    decoding.finish()
    return out


@each_coding
@given(data=st.binary(max_size=2000), repeated=st.integers(1, 200), cuts=st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=40)
def test_cuts_make_no_difference(
    coding: str, encode: Callable[[bytes], bytes], data: bytes, repeated: int, cuts: list[int]
) -> None:
    assert decoded([coding], encode(data * repeated), cuts) == data * repeated


@each_coding
def test_octet_by_octet(coding: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(b"some text, some text")
    assert decoded([coding], encoded, range(len(encoded))) == b"some text, some text"


@each_coding
@given(cut=st.integers(1, 60))
@settings(max_examples=20)
def test_what_is_cut_short_is_not_whole(coding: str, encode: Callable[[bytes], bytes], cut: int) -> None:
    encoded = encode(bytes(range(256)))
    with pytest.raises(UpstreamError, match="ended in the middle"):
        decoded([coding], encoded[:-cut])


@each_coding
def test_octets_after_the_end_are_not_passed_over(coding: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(b"text")
    for cuts in ([], [len(encoded)]):
        with pytest.raises(UpstreamError):
            decoded([coding], encoded + b"\x01surplus", cuts)


@each_coding
def test_damage_is_not_passed_over(coding: str, encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UpstreamError):
        decoded([coding], b"this has never been " + encode(b"encoded"))


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_follow_each_other(coding: str) -> None:
    encode = ENCODERS[coding]
    encoded = encode(b"one, ") + encode(b"") + encode(b"two")
    assert decoded([coding], encoded) == decoded([coding], encoded, range(len(encoded))) == b"one, two"


@each_coding
def test_nothing_at_all_is_whole(coding: str, encode: Callable[[bytes], bytes]) -> None:
    assert decoded([coding], b"") == b""
    assert decoded([coding], encode(b"")) == b""


@pytest.mark.parametrize("codings", [["gzip", "br"], ["zstd", "deflate", "gzip"]])
@given(cuts=st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=20)
def test_layers(codings: list[str], cuts: list[int]) -> None:
    encoded = text = b"".join(b"%d, " % number for number in range(20_000))
    for coding in codings:
        encoded = ENCODERS[coding](encoded)
    assert decoded(codings, encoded, cuts) == text


def test_not_too_many_layers() -> None:
    Decoding(["gzip"] * MAX_CODINGS)
    with pytest.raises(UpstreamError, match="times over"):
        Decoding(["gzip"] * (MAX_CODINGS + 1))


@pytest.mark.parametrize("coding", ["compress", "dcb", "exi", "aws-chunked", "*"])
def test_an_unknown_coding(coding: str) -> None:
    with pytest.raises(UpstreamError, match="cannot be searched") as caught:
        Decoding(["gzip", coding])
    assert "redact: false" in caught.value.hint


MANY = 16 * 1024 * 1024


@each_coding
def test_a_bomb_goes_off_in_pieces(coding: str, encode: Callable[[bytes], bytes]) -> None:
    decoding = Decoding([coding])
    bomb = encode(bytes(MANY))
    assert len(bomb) < MANY / 900
    decoding.feed(bomb)
    total = 0
    while decoding.more:
        piece = decoding.take()
        assert len(piece) <= 2 * PIECE
        total += len(piece)
    decoding.finish()
    assert total == MANY


@each_coding
def test_a_bomb_in_layers_does_not_wait_between_them(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """What has come out of one layer is worked off by the next before there is more of it."""
    decoding = Decoding([coding, coding])
    decoding.feed(encode(encode(bytes(MANY))))
    pieces = 0
    while decoding.more and pieces < 50:
        assert len(decoding.take()) <= 2 * PIECE
        inner = decoding._decoders[1]
        assert len(inner._input) <= 2 * PIECE  # type: ignore[attr-defined]
        pieces += 1


def test_a_window_that_is_too_large() -> None:
    options = {int(zstd.CompressionParameter.window_log): 27, int(zstd.CompressionParameter.compression_level): 1}
    engine = zstd.ZstdCompressor(options=options)
    encoded = engine.compress(bytes(1000)) + engine.flush()
    assert zstd.decompress(encoded) == bytes(1000)
    with pytest.raises(UpstreamError, match="damaged"):
        decoded(["zstd"], encoded)


@pytest.mark.parametrize("name", ENCODERS)
def test_what_was_flushed_comes_out_at_once(name: str) -> None:
    flush, decoding = flusher(name), Decoding([name.partition(" ")[0]])
    for number in range(5):
        event = b"data: %d\n\n" % number
        decoding.feed(flush(event))
        out = b""
        while decoding.more:
            out += decoding.take()
        assert out == event
