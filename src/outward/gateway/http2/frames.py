"""Frames (RFC 9113 §4.1) before the library sees them: whole ones, in bounds, not too many that carry nothing.

``h2`` keeps the protocol's rules about states and windows. It waits for the end of a frame before it finds it too long, and
does not count what a peer sends for nothing; that is done here. GOAWAY does not reach it at all: it would take both sides'
for the end of the connection, while streams in flight have to go on (§6.8).
"""

from __future__ import annotations

from typing import Final

from outward.core import OutwardError
from outward.core.records import NamedTuple
from outward.gateway.http1 import MAX_HEAD

HEADER: Final = 9
"""Octets of a frame's header: length, type, flags, stream."""

MAX_FRAME: Final = 16_384
"""Octets of a frame's payload. The smallest limit that one may set (RFC 9113 §6.5.2), and what we keep to."""

MAX_BLOCK: Final = 2 * MAX_HEAD
"""Octets of a compressed header block, HEADERS and CONTINUATION together. What is decoded is bounded by ``MAX_HEAD``; a
Huffman code can be longer than its text, but not in what anybody means to say."""

MAX_CONTINUATIONS: Final = 16
"""Frames that go on with one header block. They may be empty, and their number is bounded by nothing else."""

BURST: Final = 1_000
PER_SECOND: Final = 50
"""How many frames that carry nothing a peer may send at once, and steadily. See :data:`_COST`."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

_END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4
_PADDED: Final = 0x8

_COST: Final = {
    # What a frame costs its sender, who earns by what it lets through (Allowance). Frames of other types cost 1: nobody
    # has to understand them (RFC 9113 §4.1).
    DATA: 0,  # unless it is empty
    HEADERS: 0,  # streams are bounded by their number; what is ended early costs its RST_STREAM
    CONTINUATION: 0,
    RST_STREAM: 2,  # rapid reset: each lets a request begin that nobody waits for
    SETTINGS: 5,  # each has to be acknowledged and may change every stream's window
    GOAWAY: 100,
}
_DEFAULT_COST: Final = 1  # PING is answered; PRIORITY and the unknown ones are read; WINDOW_UPDATE may change nothing


class FrameError(OutwardError):
    """The peer breaks the framing or floods. ``code`` is what GOAWAY tells it (RFC 9113 §7)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code: Final = code


PROTOCOL_ERROR: Final = 0x1
FRAME_SIZE_ERROR: Final = 0x6
ENHANCE_YOUR_CALM: Final = 0xB


class Allowance:
    """How much a peer may send for nothing: a bucket that time and useful work refill."""

    __slots__ = ("_left", "_now")

    def __init__(self, now: float) -> None:
        self._now = now
        self._left = float(BURST)

    def earn(self, count: int) -> None:
        """The peer took something that we sent."""
        self._left = min(self._left + count, float(BURST))

    def spend(self, cost: int, now: float) -> None:
        """Raises :class:`FrameError` when nothing is left. ``now`` is in seconds."""
        self._left = min(self._left + (now - self._now) * PER_SECOND, float(BURST)) - cost
        self._now = now
        if self._left < 0:
            raise FrameError(ENHANCE_YOUR_CALM, "too many frames that carry nothing")


class Goaway(NamedTuple):
    """The peer wants no more streams (RFC 9113 §6.8); it has not seen those above ``last_stream``."""

    last_stream: int
    code: int


class FrameReader:
    """Cuts what arrives into whole frames. Sans-I/O; ``preface`` is how many octets come before the first frame."""

    def __init__(self, allowance: Allowance, *, preface: int = 0) -> None:
        self._allowance: Final = allowance
        self._preface = preface
        self._buffer = b""
        self._block = 0  # octets of the header block in progress
        self._continuations = -1  # of the header block in progress; -1 while there is none

    @property
    def within(self) -> bool:
        """Whether a frame or a header block has begun and not ended."""
        return bool(self._buffer) or self._continuations >= 0 or self._preface > 0

    def feed(self, data: bytes, now: float) -> list[bytes | Goaway]:
        """Whole frames as runs of octets, and the GOAWAYs between them, in order.

        Raises :class:`FrameError`; then nothing of ``data`` may be used.
        """
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        start, position = 0, min(self._preface, len(data))
        self._preface -= position
        out: list[bytes | Goaway] = []
        end = len(data)
        while end - position >= HEADER:
            length = int.from_bytes(data[position : position + 3], "big")
            if length > MAX_FRAME:
                raise FrameError(FRAME_SIZE_ERROR, f"a frame of {length} octets is too long")
            after = position + HEADER + length
            if after > end:
                break
            kind = data[position + 3]
            self._check(kind, data[position:after], now)
            if kind == GOAWAY:
                if start < position:
                    out.append(data[start:position])
                out.append(_goaway(data[position:after]))
                start = after
            position = after
        if start < position:
            out.append(data[start:position])
        self._buffer = data[position:]
        return out

    def _check(self, kind: int, frame: bytes, now: float) -> None:
        flags = frame[4]
        if self._continuations >= 0 and kind != CONTINUATION:
            raise FrameError(PROTOCOL_ERROR, "a frame interrupts a header block")
        if kind in _IN_BLOCKS:
            if kind == CONTINUATION:
                self._block += len(frame)
                self._continuations += 1
            else:
                self._block, self._continuations = len(frame), 0
            if self._block > MAX_BLOCK or self._continuations > MAX_CONTINUATIONS:
                raise FrameError(ENHANCE_YOUR_CALM, "a header block is too long")
            if flags & _END_HEADERS:
                self._continuations = -1
        cost = _COST.get(kind, _DEFAULT_COST)
        if kind == DATA and not flags & _END_STREAM and _is_empty(frame, padded=bool(flags & _PADDED)):
            cost = _DEFAULT_COST
        if cost:
            self._allowance.spend(cost, now)


_IN_BLOCKS: Final = frozenset({HEADERS, PUSH_PROMISE, CONTINUATION})


def _is_empty(frame: bytes, *, padded: bool) -> bool:
    """Whether a DATA frame is nothing but padding."""
    length = len(frame) - HEADER
    return length == 0 or (padded and frame[HEADER] >= length - 1)


def _goaway(frame: bytes) -> Goaway:
    stream, payload = frame[5:HEADER], frame[HEADER:]
    if len(payload) < 8:
        raise FrameError(FRAME_SIZE_ERROR, "a GOAWAY is too short")
    if any(stream):
        raise FrameError(PROTOCOL_ERROR, "a GOAWAY on a stream")
    return Goaway(int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, int.from_bytes(payload[4:8], "big"))
