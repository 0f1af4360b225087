"""What a server says through a WebSocket, scrubbed message by message (RFC 6455 §5). Without I/O: octets in, octets out.

Frames are parsed strictly and written anew: a stand-in may be of another length than its value, and what is held back goes
with the next fragment. A message's payload passes as it comes, whatever the message's size; the end of a message lets go of
what was held back, since in a conversation nothing may follow it.

Extensions would change what a payload means. They are not asked for where answers are scrubbed, so their bits are errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import UpstreamError

if TYPE_CHECKING:
    from outward.credentials.scrub import Scrubber

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PONG = 0x0, 0x1, 0x2, 0x8, 0xA
_MAX_CONTROL: Final = 125  # §5.5


def frame(first: int, payload: bytes) -> bytes:
    """A frame that is not masked, as servers send them (§5.2). ``first`` is its first octet: FIN and the opcode."""
    size = len(payload)
    if size <= 125:
        return bytes((first, size)) + payload
    if size <= 0xFFFF:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class ServerFrames:
    """Scrubs one direction of one WebSocket. Holds a frame's header, a control frame, or what may begin a value."""

    __slots__ = ("_control", "_first", "_fragmented", "_left", "_opcode", "_pending", "_scrubber", "_stream")

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber: Final = scrubber
        self._control: Final = scrubber.keeping_length()  # their payload is limited
        self._stream = scrubber.stream()
        self._pending = b""
        self._first = 0  # the first octet of the frame whose payload is awaited
        self._left = -1  # octets awaited of it; -1: its header is
        self._opcode = _CONTINUATION  # what the next fragment to be sent of this message has to be
        self._fragmented = False  # a message has begun and not ended

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now. Raises :class:`UpstreamError` for what is no frame of a server."""
        data, self._pending = self._pending + data, b""
        position, out = 0, []
        while True:
            if self._left < 0:
                size = self._header(data, position)
                if not size:
                    break
                position += size
            if self._first & 0x08:
                if len(data) - position < self._left:
                    break
                out.append(frame(self._first, self._control.octets(data[position : position + self._left])))
                position += self._left
                self._left = -1
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            out.append(self._fragment(piece))
            if self._left:
                break
            self._left = -1
        self._pending = data[position:]
        return b"".join(out)

    def _header(self, data: bytes, start: int) -> int:
        """Reads a frame's header; how long it is, or 0 if it is not complete."""
        if len(data) - start < 2:
            return 0
        first, second = data[start], data[start + 1]
        if first & _RESERVED:
            raise UpstreamError("the server uses an extension of WebSocket that it was not asked for")
        if second & _MASKED:
            raise UpstreamError("the server masks its WebSocket frames")
        length, size = second, 2
        if second >= 126:
            size = 4 if second == 126 else 10
            if len(data) - start < size:
                return 0
            length = int.from_bytes(data[start + 2 : start + size], "big")
            if length <= (125 if second == 126 else 0xFFFF) or length >> 63:
                raise UpstreamError("the length of a WebSocket frame is malformed")
        self._begin(first, length)
        return size

    def _begin(self, first: int, length: int) -> None:
        opcode, final = first & 0x0F, bool(first & _FIN)
        if opcode & 0x08:
            if not _CLOSE <= opcode <= _PONG or not final or length > _MAX_CONTROL:
                raise UpstreamError("a WebSocket control frame is malformed")
        elif opcode > _BINARY or (opcode == _CONTINUATION) is not self._fragmented:
            raise UpstreamError("the server's WebSocket frames do not make messages")
        else:
            self._fragmented = not final
            if opcode:
                self._opcode = opcode
                self._stream = self._scrubber.stream()
        self._first, self._left = first, length

    def _fragment(self, piece: bytes) -> bytes:
        """Some of a message's payload, as a frame of ours."""
        ended = not self._left and bool(self._first & _FIN)
        payload = self._stream.feed(piece)
        if ended:
            payload += self._stream.finish()
        elif not payload:
            return b""
        first, self._opcode = self._opcode, _CONTINUATION
        return frame(first | _FIN if ended else first, payload)
