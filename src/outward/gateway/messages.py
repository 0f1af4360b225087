"""gRPC's messages on their way through the scrubber (gRPC over HTTP/2, "Length-Prefixed-Message"). Pure.

The scrubber holds back what may be the beginning of a secret until it knows what follows. In a conversation nothing follows
before the client has answered, so the end of a message has to pass.

Messages are asked for uncompressed. One that is compressed nevertheless is decoded when all of it is there, since its length goes
before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import UpstreamError

if TYPE_CHECKING:
    from outward.credentials.scrub import Scrubber
    from outward.gateway.http1 import ResponseHead

PREFIX: Final = 5
"""Octets before a message: whether it is compressed, and its length."""

MAX_LET_GO: Final = 4
"""Octets of what may be a secret's beginning that pass at a message's end.

A server can be brought to call anything a message and to end it within a secret that it echoes. What it gives away so is less
than what services print on their keys for everybody to see; then the next message has to begin like one, or the answer ends.
"""


def are_messages(head: ResponseHead) -> bool:
    """Whether an answer is a sequence of gRPC messages."""
    kinds = head.values("content-type")
    kind = kinds[0].lower() if kinds else ""
    return kind == "application/grpc" or kind.startswith(("application/grpc+", "application/grpc;"))


MAX_MESSAGE: Final = 4 * 1024 * 1024
"""Octets of a compressed message, before and after: what clients of gRPC take at most, unless they are told otherwise."""

_ENCODINGS: Final = frozenset({"connect-content-encoding", "grpc-encoding"})


def encoding_of(head: ResponseHead) -> str:
    """How compressed messages of an answer are encoded, or nothing if none may be."""
    values = head.values("grpc-encoding")
    encoding = values[0].lower() if len(values) == 1 else ""
    return encoding if encoding != "identity" else ""


def check_readable(head: ResponseHead) -> None:
    """Raises :class:`UpstreamError` for messages of another kind that are compressed: gRPC-Web's and Connect's."""
    encodings = [line.partition(":")[2].strip(" \t").lower() for key, line in head.lines if key in _ENCODINGS]
    if any(encoding not in {"", "identity"} for encoding in encodings):
        raise UpstreamError("the answer's messages are compressed although it was asked not to, and cannot be searched")


class MessageStream:
    """Scrubs one answer that arrives in pieces; what :class:`~outward.credentials.scrub.Stream` is for others."""

    __slots__ = ("_encoding", "_gathered", "_left", "_prefix", "_stream")

    def __init__(self, scrubber: Scrubber, encoding: str = "") -> None:
        """``scrubber`` has to keep the length of what it scrubs. ``encoding`` is that of compressed messages."""
        self._stream: Final = scrubber.stream()
        self._encoding: Final = encoding
        self._prefix = b""
        self._left = 0
        self._gathered: bytearray | None = None  # of a compressed message

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now. Raises :class:`UpstreamError` for what is no message, or cannot be decoded."""
        out = self._stream.feed(self._walk(data))
        if not self._left and not self._prefix and self._stream.held <= MAX_LET_GO:
            out += self._stream.finish()
        return out

    def finish(self) -> bytes:
        """What was held back, once the answer has ended."""
        return self._stream.finish()

    def _walk(self, data: bytes) -> bytes:
        """``data`` with what is compressed in it decoded; finds out where in a message it ends."""
        out: list[bytes] = []
        position = plain = 0  # what comes from there on has not been taken over yet
        while position < len(data):
            if self._left:
                step = min(self._left, len(data) - position)
                self._left -= step
                position += step
                if self._gathered is not None:
                    self._gathered += data[plain:position]
                    plain = position
            else:
                if not self._prefix and data[position]:
                    # Other flags also go on with what was let go, if that was a secret's beginning: no secret holds a NUL.
                    self._check_flag(data[position])
                    self._gathered = bytearray()
                    out.append(data[plain:position])
                prefix = self._prefix + data[position : position + PREFIX - len(self._prefix)]
                position += len(prefix) - len(self._prefix)
                if self._gathered is not None:
                    plain = position
                self._prefix = prefix if len(prefix) < PREFIX else b""
                self._left = 0 if self._prefix else int.from_bytes(prefix[1:], "big")
                if self._gathered is not None and self._left > MAX_MESSAGE:
                    raise UpstreamError("a compressed message of the answer is too large to be searched for secrets")
            if self._gathered is not None and not self._left and not self._prefix:
                out.append(self._decoded(bytes(self._gathered)))
                self._gathered = None
        if not out and not plain:
            return data
        out.append(data[plain:])
        return b"".join(out)

    def _check_flag(self, flag: int) -> None:
        if flag != 1 or not self._encoding:
            raise UpstreamError("the answer is not made of messages, or does not say how they are compressed")

    def _decoded(self, message: bytes) -> bytes:
        # Here: few servers do that, and `outward run` has to start quickly.
        from outward.gateway.codings import Decoding

        decoding, pieces, size = Decoding([self._encoding]), list[bytes](), 0
        decoding.feed(message)
        while decoding.more:
            pieces.append(decoding.take())
            size += len(pieces[-1])
            if size > MAX_MESSAGE:
                raise UpstreamError("a compressed message of the answer is too large to be searched for secrets")
        decoding.finish()
        return size.to_bytes(PREFIX, "big") + b"".join(pieces)
