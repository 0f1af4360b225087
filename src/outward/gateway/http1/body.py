"""Message bodies: what belongs to this message, what to the next one (RFC 9112 §6 and §7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from outward.gateway.http1.head import _FIELDS, CHUNKED, UNTIL_CLOSE

if TYPE_CHECKING:
    from outward.core import OutwardError

MAX_CHUNK_LINE: Final = 256
"""Octets of a chunk's size with its extensions; extensions are dropped, and unbounded ones are an attack on memory."""

MAX_TRAILERS: Final = 16 * 1024

_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?", re.ASCII)


class Body(Protocol):
    """The rest of a message. ``done`` turns true with its last octet."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Takes what has arrived; gives (payload, what belongs to the next message)."""
        ...


class FixedBody:
    """A body of known length."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See :class:`Body`."""
        if len(data) < self._left:
            self._left -= len(data)
            return data, b""
        cut, self._left, self.done = self._left, 0, True
        return (data, b"") if cut == len(data) else (data[:cut], data[cut:])


class UntilClose:
    """A body that ends when the connection does. Only the connection knows when: it sets ``done``."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See :class:`Body`."""
        return data, b""


class ChunkedBody:
    """A chunked body (RFC 9112 §7.1). ``trailers`` is the raw trailer section once ``done``, checked against the grammar."""

    __slots__ = ("_blame", "_buffer", "_left", "_state", "done", "trailers")

    def __init__(self, blame: type[OutwardError]) -> None:
        self._blame = blame
        self._buffer = b""
        self._left = 0
        self._state = self._size
        self.done = False
        self.trailers = ""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See :class:`Body`."""
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        payload: list[bytes] = []
        position = 0
        while not self.done:
            advanced = self._state(data, position, payload)
            if advanced < 0:
                self._buffer = data[position:]
                position = len(data)
                break
            position = advanced
        return payload[0] if len(payload) == 1 else b"".join(payload), data[position:]

    # Each state takes (data, position, payload) and gives the new position, or -1 when it needs more octets.

    def _size(self, data: bytes, position: int, payload: list[bytes]) -> int:
        end = data.find(b"\r\n", position, position + MAX_CHUNK_LINE)
        if end < 0:
            if len(data) - position >= MAX_CHUNK_LINE or b"\n" in data[position:]:
                raise self._blame("a chunk's size line is malformed")
            return -1
        match = _CHUNK_LINE.fullmatch(data, position, end)
        if match is None:
            raise self._blame("a chunk's size line is malformed")
        self._left = int(match[1], 16)
        self._state = self._data if self._left else self._trailers
        return end + 2

    def _data(self, data: bytes, position: int, payload: list[bytes]) -> int:
        available = len(data) - position
        if available <= 0:
            return -1
        if available < self._left:
            payload.append(data[position:])
            self._left -= available
            return len(data)
        end = position + self._left
        payload.append(data[position:end])
        self._left = 0
        self._state = self._data_end
        return end

    def _data_end(self, data: bytes, position: int, payload: list[bytes]) -> int:
        mark = data[position : position + 2]
        if mark == b"\r\n":
            self._state = self._size
            return position + 2
        if mark in {b"", b"\r"}:
            return -1
        raise self._blame("a chunk is longer than its size")

    def _trailers(self, data: bytes, position: int, payload: list[bytes]) -> int:
        if data.startswith(b"\r\n", position):
            self.done = True
            return position + 2
        end = data.find(b"\r\n\r\n", position, position + MAX_TRAILERS)
        if end < 0:
            if len(data) - position >= MAX_TRAILERS:
                raise self._blame("the trailers are too large")
            return -1
        section = data[position : end + 2].decode("latin-1")
        if not _FIELDS.fullmatch(section):
            raise self._blame("a trailer is malformed")
        self.trailers = section
        self.done = True
        return end + 4


def body_reader(length: int, blame: type[OutwardError]) -> Body:
    """The reader for a body of ``length`` (octets, ``CHUNKED`` or ``UNTIL_CLOSE``)."""
    if length == CHUNKED:
        return ChunkedBody(blame)
    if length == UNTIL_CLOSE:
        return UntilClose()
    return FixedBody(length)


def chunk(payload: bytes) -> bytes:
    """``payload`` as one chunk; nothing for nothing, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""
