"""The upstream's answer on its way to the client (docs/architecture.md, step 8). Without I/O: octets in, octets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import UpstreamError
from outward.gateway.http1 import chunk
from outward.gateway.rewrite import response_head, trailer_section

if TYPE_CHECKING:
    from outward.credentials.scrub import Scrubber, Stream
    from outward.gateway.http1 import RequestHead, ResponseHead


class Answer:
    """Writes one answer anew: our framing, scrubbed head, scrubbed body.

    ``octets`` counts the body so far. ``closes`` tells that the client's connection has to end after it, because the
    client asked for it or because the body has no other end.
    """

    __slots__ = ("_chunked", "_request", "_scrubber", "_stream", "closes", "octets")

    def __init__(self, request: RequestHead, scrubber: Scrubber | None, *, closes: bool) -> None:
        self._request: Final = request
        self._scrubber: Final = scrubber
        self._stream: Stream | None = None
        self._chunked = False
        self.closes = closes
        self.octets = 0

    def interim(self, head: ResponseHead) -> bytes:
        """100 and 103 (RFC 9110 §15.2) go through; HTTP/1.0 clients do not know them."""
        return response_head(head, "", self._scrubber) if self._request.minor == 1 else b""

    def switching(self, head: ResponseHead) -> bytes:
        """The head of a 101 that accepts the WebSocket (RFC 6455 §4.2.2)."""
        return response_head(head, "Connection: Upgrade\r\nUpgrade: websocket\r\n", self._scrubber)

    def begin(self, head: ResponseHead, payload: bytes, *, done: bool, trailers: str) -> bytes:
        """The head, and as much of the body as came along.

        Raises :class:`UpstreamError` for a compressed body that would have to be scrubbed: it was asked not to be.
        """
        scrubber = self._scrubber
        if scrubber is not None and head.encoded and (payload or not done):
            raise UpstreamError("the answer is compressed although it was asked not to be")
        announced: int | None
        if done and not trailers:
            # The whole answer is here: scrub it whole, announce its true length.
            body = scrubber.octets(payload) if scrubber is not None and payload else payload
            announced = head.length if self._request.method == "HEAD" or head.status in {204, 304} else len(body)
        else:
            self._stream = scrubber.stream() if scrubber is not None else None
            body = self._stream.feed(payload) if self._stream is not None else payload
            announced = head.length if scrubber is None or scrubber.keeps_length else None
            self._chunked = announced is None and self._request.minor == 1
            self.closes |= announced is None and not self._chunked
        self.octets += len(body)
        framing = "connection: close\r\n" if self.closes else ""
        if self._chunked:
            framing += "transfer-encoding: chunked\r\n"
            body = chunk(body)
        elif announced is not None and head.status != 204:
            framing += f"content-length: {announced}\r\n"
        out = response_head(head, framing, scrubber) + body
        return out + self._end(trailers) if done else out

    def more(self, payload: bytes, *, done: bool, trailers: str) -> bytes:
        """More of the body."""
        if self._stream is not None:
            payload = self._stream.feed(payload)
        self.octets += len(payload)
        out = chunk(payload) if self._chunked else payload
        return out + self._end(trailers) if done else out

    def _end(self, trailers: str) -> bytes:
        last = self._stream.finish() if self._stream is not None else b""
        self.octets += len(last)
        if not self._chunked:
            return last
        section = trailer_section(trailers, self._scrubber) if trailers else ""
        return chunk(last) + f"0\r\n{section}\r\n".encode("latin-1")
