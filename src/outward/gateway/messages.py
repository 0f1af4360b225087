"""gRPC's messages on their way through the scrubber (gRPC over HTTP/2, "Length-Prefixed-Message"). Pure.

The scrubber holds back what may be the beginning of a secret until it knows what follows. In a conversation nothing follows
before the client has answered, so the end of a message has to pass.
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
    for key, line in head.lines:
        if key == "content-type":
            kind = line.partition(":")[2].strip().lower()
            return kind == "application/grpc" or kind.startswith(("application/grpc+", "application/grpc;"))
    return False


class MessageStream:
    """Scrubs one answer that arrives in pieces; what :class:`~outward.credentials.scrub.Stream` is for others."""

    __slots__ = ("_left", "_prefix", "_stream")

    def __init__(self, scrubber: Scrubber) -> None:
        """``scrubber`` has to keep the length of what it scrubs."""
        self._stream: Final = scrubber.stream()
        self._prefix = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now. Raises :class:`UpstreamError` for what is no message, or a compressed one."""
        self._walk(data)
        out = self._stream.feed(data)
        if not self._left and not self._prefix and self._stream.held <= MAX_LET_GO:
            out += self._stream.finish()
        return out

    def finish(self) -> bytes:
        """What was held back, once the answer has ended."""
        return self._stream.finish()

    def _walk(self, data: bytes) -> None:
        """Finds out where in a message ``data`` ends."""
        position = 0
        while position < len(data):
            if self._left:
                step = min(self._left, len(data) - position)
                self._left -= step
                position += step
                continue
            prefix = self._prefix + data[position : position + PREFIX - len(self._prefix)]
            position += len(prefix) - len(self._prefix)
            if prefix[0]:
                # It also goes on with what was let go, if that was a secret's beginning: no secret holds a NUL.
                raise UpstreamError(
                    "the answer is not made of messages, or they are compressed although asked not to be"
                )
            self._prefix = prefix if len(prefix) < PREFIX else b""
            self._left = 0 if self._prefix else int.from_bytes(prefix[1:], "big")
