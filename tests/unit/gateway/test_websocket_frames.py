"""What a server says through a WebSocket is scrubbed, however it is cut into frames and reads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import UpstreamError
from outward.credentials.scrub import Scrubber
from outward.gateway.websocket_frames import ServerFrames, frame

VALUE = b"sk-ant-test-REAL-01"
OTHER_LENGTH = Scrubber([(VALUE, b"PLACEHOLDER")])
TEXT, BINARY, CLOSE, PING, FIN = 1, 2, 8, 9, 0x80


def read(data: bytes) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """The messages and the control frames in ``data``, as (opcode, payload)."""
    messages, controls, parts, kind = list[tuple[int, bytes]](), list[tuple[int, bytes]](), list[bytes](), 0
    while data:
        first, size, start = data[0], data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        payload, data = data[start : start + size], data[start + size :]
        assert len(payload) == size
        if first & 8:
            controls.append((first & 15, payload))
            continue
        assert bool(first & 15) is not bool(parts)
        kind = first & 15 or kind
        parts.append(payload)
        if first & FIN:
            messages.append((kind, b"".join(parts)))
            parts = []
    return messages, controls


def test_a_message_is_scrubbed() -> None:
    out = ServerFrames(OTHER_LENGTH).feed(frame(FIN | TEXT, b"key: " + VALUE))
    assert out == frame(FIN | TEXT, b"key: PLACEHOLDER")


def test_a_value_in_several_fragments_with_a_ping_between() -> None:
    raw = frame(BINARY, b"a" + VALUE[:5]) + frame(FIN | PING, VALUE) + frame(0, VALUE[5:9]) + frame(FIN, VALUE[9:])
    assert read(raw)[0] == [(BINARY, b"a" + VALUE)], "as it is, the client reads it"
    assert read(ServerFrames(OTHER_LENGTH).feed(raw)) == (
        [(BINARY, b"aPLACEHOLDER")],
        [(PING, b"PLACEHOLDERxxxxxxxx")],
    )


def test_the_end_of_a_message_is_not_held_back() -> None:
    raw = frame(FIN | TEXT, b"it ends like the key: sk-ant-test")
    assert ServerFrames(OTHER_LENGTH).feed(raw) == raw


@pytest.mark.parametrize("size", [0, 1, 125, 126, 0xFFFF, 0x10000])
def test_other_messages_stay(size: int) -> None:
    raw = frame(FIN | TEXT, b"x" * size)
    assert ServerFrames(OTHER_LENGTH).feed(raw) == raw


def test_a_message_passes_as_it_comes() -> None:
    frames = ServerFrames(OTHER_LENGTH)
    raw = frame(FIN | TEXT, b"x" * 100_000)
    assert frames.feed(raw[:60]) == frame(TEXT, raw[10:60])
    assert frames.feed(raw[60:]) == frame(FIN, raw[60:])


messages = st.lists(
    st.tuples(
        st.sampled_from([TEXT, BINARY]),
        st.lists(st.sampled_from([b"", b"x", VALUE, VALUE[:7], VALUE[7:], b"y" * 130]), min_size=1, max_size=4),
        st.booleans(),
    ),
    max_size=4,
)


@given(messages, st.lists(st.integers(0, 900), max_size=8))
def test_cuts_make_no_difference(messages: list[tuple[int, list[bytes], bool]], cuts: list[int]) -> None:
    raw = b""
    for kind, parts, ping in messages:
        for i, part in enumerate(parts):
            raw += frame((kind if i == 0 else 0) | (FIN if i == len(parts) - 1 else 0), part)
            raw += frame(FIN | PING, b"still there?") if ping else b""
    points = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    frames = ServerFrames(OTHER_LENGTH)
    out = b"".join(frames.feed(raw[a:b]) for a, b in itertools.pairwise(points))
    said, controls = read(out)
    assert said == [(kind, OTHER_LENGTH.octets(b"".join(parts))) for kind, parts, _ in messages]
    assert controls == read(raw)[1]


@pytest.mark.parametrize(
    "raw",
    [
        b"\xc1\x00",  # RSV1: compressed
        b"\x81\x80\0\0\0\0",  # masked
        b"\x81\x7e\x00\x7d",  # a length that fits in less
        b"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
        b"\x81\x7f\x80\x00\x00\x00\x00\x01\x00\x00",
        b"\x80\x00",  # nothing to continue
        b"\x01\x00\x81\x00",  # a message within a message
        b"\x83\x00",  # opcodes that mean nothing
        b"\x8b\x00",
        b"\x08\x00",  # a control frame in fragments
        b"\x88\x7e\x00\x7e",  # or too long
    ],
)
def test_what_no_server_may_send_ends_it(raw: bytes) -> None:
    with pytest.raises(UpstreamError):
        ServerFrames(OTHER_LENGTH).feed(raw)
    frames = ServerFrames(OTHER_LENGTH)
    with pytest.raises(UpstreamError):
        _ = [frames.feed(bytes([octet])) for octet in raw]
