"""Frames before the library sees them (RFC 9113 §4 and §6), and what floods are made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.gateway.http2 import frames
from outward.gateway.http2.frames import Allowance, FrameError, FrameReader, Goaway

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def reader(*, preface: int = 0) -> FrameReader:
    return FrameReader(Allowance(0.0), preface=preface)


def feed(data: bytes, *, now: float = 0.0) -> list[bytes | Goaway]:
    return reader().feed(data, now)


GOAWAY = frame(frames.GOAWAY, (7).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"why", stream=0)
HEADERS = frame(frames.HEADERS, b"\x82", flags=0x5)
DATA = frame(frames.DATA, b"hello")


@given(st.lists(st.sampled_from([HEADERS, DATA, frame(frames.PING, bytes(8)), GOAWAY]), max_size=8), st.data())
def test_frames_come_out_whole_however_they_arrive(parts: list[bytes], data: st.DataObject) -> None:
    whole = PREFACE + b"".join(parts)
    cut = reader(preface=len(PREFACE))
    out: list[bytes | Goaway] = []
    left = whole
    while left:
        size = data.draw(st.integers(1, len(left)))
        out += cut.feed(left[:size], 0.0)
        left = left[size:]
    octets = b"".join(one for one in out if isinstance(one, bytes))
    assert octets == PREFACE + b"".join(part for part in parts if part != GOAWAY)
    assert [one for one in out if isinstance(one, Goaway)] == [Goaway(7, 2)] * parts.count(GOAWAY)
    assert not cut.within


def test_a_goaway_stands_where_it_came() -> None:
    assert feed(DATA + GOAWAY + HEADERS + DATA) == [DATA, Goaway(7, 2), HEADERS + DATA]


def test_it_is_known_that_something_has_begun() -> None:
    one = reader(preface=len(PREFACE))
    steps = [
        (PREFACE[:10], True),
        (PREFACE[10:], False),
        (DATA[:3], True),
        (DATA[3:], False),
        (frame(frames.HEADERS, b"\x82"), True),  # the header block goes on
        (frame(frames.CONTINUATION, flags=0x4), False),
    ]
    for octets, within in steps:
        one.feed(octets, 0.0)
        assert one.within is within


def test_a_frame_that_is_too_long_is_refused_before_it_has_come() -> None:
    feed(frame(frames.DATA, bytes(frames.MAX_FRAME)))
    with pytest.raises(FrameError) as caught:
        feed((frames.MAX_FRAME + 1).to_bytes(3, "big") + b"\0\0" + (1).to_bytes(4, "big"))
    assert caught.value.code == frames.FRAME_SIZE_ERROR


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("on a stream (RFC 9113 §6.8)", frame(frames.GOAWAY, bytes(8), stream=1)),
        ("too short", frame(frames.GOAWAY, bytes(7), stream=0)),
        ("inside a header block (§4.3)", frame(frames.HEADERS, b"\x82") + GOAWAY),
    ],
)
def test_bad_goaways(what: str, data: bytes) -> None:
    with pytest.raises(FrameError):
        feed(data)


def test_a_header_block_is_not_interrupted() -> None:
    with pytest.raises(FrameError) as caught:
        feed(frame(frames.HEADERS, b"\x82") + DATA)
    assert caught.value.code == frames.PROTOCOL_ERROR


def flood(one: bytes, first: bytes = b"", count: int = 10 * frames.BURST) -> int:
    """How many of them get through at once."""
    guard = reader()
    guard.feed(first, 0.0)
    for number in range(count):
        try:
            guard.feed(one, 0.0)
        except FrameError as error:
            return number if error.code == frames.ENHANCE_YOUR_CALM else count
    return count


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("ping flood (CVE-2019-9512)", frame(frames.PING, bytes(8), stream=0)),
        ("rapid reset (CVE-2023-44487)", HEADERS + frame(frames.RST_STREAM, bytes(4))),
        ("reset flood (CVE-2019-9514)", frame(frames.RST_STREAM, bytes(4))),
        ("settings flood (CVE-2019-9515)", frame(frames.SETTINGS, stream=0)),
        ("settings acknowledged unasked", frame(frames.SETTINGS, flags=0x1, stream=0)),
        ("empty frames (CVE-2019-9518)", frame(frames.DATA)),
        ("frames of padding only", frame(frames.DATA, b"\x07" + bytes(7), flags=0x8)),
        ("priority flood (CVE-2019-9513)", frame(frames.PRIORITY, bytes(5))),
        ("window updates (CVE-2019-9511)", frame(frames.WINDOW_UPDATE, (1).to_bytes(4, "big"))),
        ("unknown frames", frame(0xFE, b"x")),
        ("goaway flood", GOAWAY),
    ],
)
def test_floods_are_stopped(what: str, one: bytes) -> None:
    assert flood(one) <= frames.BURST


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("data", DATA),
        ("padded data", frame(frames.DATA, b"\x06" + bytes(7), flags=0x8)),
        ("the end of a stream without data", frame(frames.DATA, flags=0x1)),
        ("requests", HEADERS),
    ],
)
def test_work_is_not_a_flood(what: str, one: bytes) -> None:
    assert flood(one) == 10 * frames.BURST


def test_what_a_peer_sends_steadily_is_allowed() -> None:
    guard = reader()
    ping = frame(frames.PING, bytes(8), stream=0)
    for number in range(10 * frames.BURST):
        guard.feed(ping, number / frames.PER_SECOND)


def test_who_takes_much_may_acknowledge_much() -> None:
    allowance = Allowance(0.0)
    guard = FrameReader(allowance)
    update = frame(frames.WINDOW_UPDATE, (16_384).to_bytes(4, "big"))
    for _ in range(10 * frames.BURST):
        allowance.earn(1)
        guard.feed(update, 0.0)


@pytest.mark.parametrize("size", [0, 1, frames.MAX_FRAME])
def test_a_header_block_without_end_is_stopped(size: int) -> None:
    """CONTINUATION flood (CVE-2024-27316, CVE-2024-24549, CVE-2024-28182 and others)."""
    taken = flood(frame(frames.CONTINUATION, bytes(size)), frame(frames.HEADERS, b"\x82"))
    assert taken <= frames.MAX_CONTINUATIONS
    assert taken * size <= frames.MAX_BLOCK


@given(st.binary(max_size=200))
def test_any_octets_are_frames_or_refused(data: bytes) -> None:
    try:
        out = feed(data)
    except FrameError:
        return
    assert sum(len(one) for one in out if isinstance(one, bytes)) <= len(data)
