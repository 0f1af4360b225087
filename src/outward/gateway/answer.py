"""The upstream's answer on its way to the client (docs/architecture.md, step 8). Without I/O: octets in, octets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import UpstreamError
from outward.gateway.http1 import chunk
from outward.gateway.messages import MessageStream, are_messages, check_readable, encoding_of
from outward.gateway.rewrite import response_head, trailer_section

if TYPE_CHECKING:
    from outward.credentials.scrub import Scrubber, Stream
    from outward.gateway.http1 import RequestHead, ResponseHead


class AnswerBody:
    """The body of one answer on its way through the scrubber, whatever frames it on the client's side.

    ``octets`` counts what has come out so far.
    """

    __slots__ = ("_request", "_scrubber", "_stream", "octets")

    def __init__(self, request: RequestHead, scrubber: Scrubber | None) -> None:
        self._request: Final = request
        self._scrubber: Final = scrubber
        self._stream: Stream | MessageStream | None = None
        self.octets = 0

    def _first(self, head: ResponseHead, payload: bytes, *, whole: bool) -> tuple[bytes, int | None]:
        """The beginning of the body, and the length to announce, if it is known. ``whole``: there is no more.

        Raises :class:`UpstreamError` for a compressed body that would have to be scrubbed: it was asked not to be.
        """
        scrubber = self._scrubber
        if scrubber is not None and head.encoded and (payload or not whole):
            raise UpstreamError("the answer is compressed although it was asked not to be")
        counted = scrubber is None or scrubber.keeps_length
        if scrubber is not None:
            if are_messages(head):
                scrubber = scrubber.keeping_length()
                encoding = encoding_of(head)
                counted = not encoding  # decoded, they are longer
                self._stream = MessageStream(scrubber, encoding)
            else:
                check_readable(head)
                if not whole:
                    self._stream = scrubber.stream()
        announced: int | None
        if whole:
            # Scrub it whole, announce its true length.
            if self._stream is not None:
                body = self._stream.feed(payload) + self._stream.finish()
            else:
                body = scrubber.octets(payload) if scrubber is not None and payload else payload
            announced = head.length if self._request.method == "HEAD" or head.status in {204, 304} else len(body)
        else:
            body = self._stream.feed(payload) if self._stream is not None else payload
            announced = head.length if counted else None
        self.octets += len(body)
        return body, announced

    def _next(self, payload: bytes, *, done: bool) -> bytes:
        """More of the body; with ``done`` what was held back, too. Raises :class:`UpstreamError` likewise."""
        if self._stream is not None:
            payload = self._stream.feed(payload)
            if done:
                payload += self._stream.finish()
        self.octets += len(payload)
        return payload


class Answer(AnswerBody):
    """Writes one answer anew for HTTP/1.1: our framing, scrubbed head, scrubbed body.

    ``closes`` tells that the client's connection has to end after it, because the client asked for it or because the body
    has no other end.
    """

    __slots__ = ("_chunked", "closes")

    def __init__(self, request: RequestHead, scrubber: Scrubber | None, *, closes: bool) -> None:
        super().__init__(request, scrubber)
        self._chunked = False
        self.closes = closes

    def interim(self, head: ResponseHead) -> bytes:
        """100 and 103 (RFC 9110 §15.2) go through; HTTP/1.0 clients do not know them."""
        return response_head(head, "", self._scrubber) if self._request.minor == 1 else b""

    def switching(self, head: ResponseHead) -> bytes:
        """The head of a 101 that accepts the WebSocket (RFC 6455 §4.2.2)."""
        return response_head(head, "Connection: Upgrade\r\nUpgrade: websocket\r\n", self._scrubber)

    def begin(self, head: ResponseHead, payload: bytes, *, done: bool, trailers: str) -> bytes:
        """The head, and as much of the body as came along. Raises :class:`UpstreamError`, see ``_first``."""
        whole = done and not trailers
        body, announced = self._first(head, payload, whole=whole)
        if not whole:
            self._chunked = announced is None and self._request.minor == 1
            self.closes |= announced is None and not self._chunked
        framing = "connection: close\r\n" if self.closes else ""
        if self._chunked:
            framing += "transfer-encoding: chunked\r\n"
            body = chunk(body)
        elif announced is not None and head.status != 204:
            framing += f"content-length: {announced}\r\n"
        out = response_head(head, framing, self._scrubber) + body
        return out + self.more(b"", done=True, trailers=trailers) if done and not whole else out

    def more(self, payload: bytes, *, done: bool, trailers: str) -> bytes:
        """More of the body."""
        payload = self._next(payload, done=done)
        if not self._chunked:
            return payload
        if not done:
            return chunk(payload)
        section = trailer_section(trailers, self._scrubber) if trailers else ""
        return chunk(payload) + f"0\r\n{section}\r\n".encode("latin-1")
