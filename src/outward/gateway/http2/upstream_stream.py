"""One exchange with a server over HTTP/2: a stream of a connection that others use as well (RFC 9113 §5)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import StreamClosedError

from outward.core import UpstreamError
from outward.gateway.http1 import response_framing
from outward.gateway.http2.frames import MAX_FRAME
from outward.gateway.http2.heads import request_fields, response_head, trailer_section
from outward.gateway.streams import Unprocessed

if TYPE_CHECKING:
    from outward.core import Request
    from outward.credentials.injector import Injector
    from outward.credentials.scrub import Scrubber
    from outward.gateway.exchange import Exchange
    from outward.gateway.http1 import RequestHead, ResponseHead
    from outward.gateway.http2.upstream import Http2Upstream

STREAM_WINDOW: Final = 256 * 1024
"""Octets of an answer that a server may send before the client has taken them. Bounds the memory of a stream."""

MAX_INTERIM: Final = 32
"""Answers before the answer. Flow control does not hold them back, so their number is bounded."""


def error_name(code: int) -> str:
    """The name of an error code (RFC 9113 §7), or its number."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return str(code)


class Http2UpstreamStream:
    """The :class:`~outward.gateway.streams.UpstreamStream` of HTTP/2."""

    __slots__ = (
        "_answer",
        "_at",
        "_body",
        "_connection",
        "_done",
        "_ended",
        "_exchange",
        "_given",
        "_held",
        "_interim",
        "_left",
        "_method",
        "_over",
        "_paused",
        "_payload",
        "_trailers",
        "_unacknowledged",
        "number",
    )

    def __init__(self, connection: Http2Upstream) -> None:
        self.number = 0
        self._connection: Final = connection
        self._exchange: Exchange | None = None
        self._over = False
        # The request.
        self._method = ""
        self._body = b""
        self._at = 0  # where in the body is what has not been sent yet
        self._given = False  # whether the exchange has given all of it
        self._done = False  # whether all of it has been sent
        self._held = False  # whether the client waits for us
        # The answer.
        self._answer: ResponseHead | None = None  # until it is delivered
        self._payload: list[bytes] = []  # likewise
        self._trailers = ""
        self._ended = False
        self._left: int | None = None  # octets that are announced, and have not come yet
        self._interim = 0
        self._paused = False
        self._unacknowledged = 0

    # -- UpstreamStream: used by the exchange

    @property
    def address(self) -> str:
        """See :class:`~outward.gateway.streams.UpstreamStream`, likewise below."""
        return self._connection.address

    @property
    def reused(self) -> bool:
        """Streams of clients have odd numbers from 1."""
        return self.number > 1

    def scrubber(self, injector: Injector) -> Scrubber | None:
        """There is no proxy in between that could have been given credentials."""
        return injector.scrubber

    def begin(self, exchange: Exchange, head: RequestHead, request: Request, injector: Injector) -> None:
        """Sends the request's head."""
        self._exchange = exchange
        self._method = request.method
        self._given = self._done = head.length == 0
        connection = self._connection
        self.number = connection.enter(self)
        fields = request_fields(head, request, injector)
        connection.library.send_headers(self.number, fields, end_stream=self._done)
        connection.flush()

    def send(self, payload: bytes, *, done: bool) -> None:
        """More of the request's body; what there is no window for is kept, and the client waits."""
        if self._over or self._exchange is None:
            return
        self._body = self._body[self._at :] + payload
        self._at = 0
        self._given = done
        while self.waiting and self.push():
            pass
        if self.waiting:
            self._held = True
            self._exchange.client.pause_reading()
        self._connection.flush()

    def pause_reading(self) -> None:
        """What the server sends is not acknowledged any more, so it has to stop when the window is full."""
        self._paused = True

    def resume_reading(self) -> None:
        """Undoes :meth:`pause_reading`."""
        self._paused = False
        self._acknowledge()

    def release(self) -> None:
        """The exchange is over on both sides."""
        self._exchange = None
        self._leave()

    def close(self) -> None:
        """Ends the stream, and not the connection, which others use."""
        self._exchange = None
        self._leave(ErrorCodes.CANCEL)

    # -- used by the connection: the request

    @property
    def waiting(self) -> bool:
        """Whether something is left to be sent."""
        return self._at < len(self._body) or (self._given and not self._done)

    def push(self) -> bool:
        """Sends one frame of the body, as much as the windows allow. Whether there was one."""
        connection, left = self._connection, len(self._body) - self._at
        window = connection.library.local_flow_control_window(self.number)
        size = min(left, window, MAX_FRAME)
        if connection.write_paused or (left and size <= 0):
            return False
        payload = memoryview(self._body)[self._at : self._at + size]
        self._at += size
        self._done = self._given and size == left
        connection.library.send_data(self.number, payload, end_stream=self._done)
        # A server that takes what there is may say so. One that has it sent octet by octet earns nothing (CVE-2019-9511).
        connection.allowance.earn(2 if size == left else size // 1024)
        return True

    def caught_up(self) -> None:
        """Lets the client go on, if that is what it waits for."""
        if self._held and not self.waiting:
            self._held = False
            if self._exchange is not None:
                self._exchange.client.resume_reading()

    # -- used by the connection: the answer

    def take(self, event: events.Event) -> bool:
        """Notes what the server sends. Whether there is something to deliver."""
        try:
            return self._take(event)
        except UpstreamError as error:
            self.fail(error, ErrorCodes.PROTOCOL_ERROR)
            return False

    def _take(self, event: events.Event) -> bool:
        match event:
            case events.DataReceived():
                self._unacknowledged += event.flow_controlled_length
                self._payload.append(event.data)
                self._count(len(event.data))
            case events.ResponseReceived():
                self._answer = head = response_head(event.headers)
                length = response_framing(head, self._method)
                self._left = length if length >= 0 else None
            case events.TrailersReceived():
                self._trailers = trailer_section(event.headers, UpstreamError)
            case events.StreamEnded():
                if self._left:
                    raise UpstreamError("the answer is shorter than it says")
                self._ended = True
            case events.InformationalResponseReceived():
                self._take_interim(response_head(event.headers))
                return False
            case events.StreamReset():
                self._take_reset(event)
                return False
            case _:
                return False
        return True

    def _count(self, octets: int) -> None:
        if self._left is not None:
            self._left -= octets
            if self._left < 0:
                raise UpstreamError("the answer is longer than it says, or than it can be")

    def _take_interim(self, head: ResponseHead) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise UpstreamError("there are too many answers before the answer")
        if self._exchange is not None:
            self._exchange.on_interim_response(head)

    def _take_reset(self, event: events.StreamReset) -> None:
        if self._ended:
            return  # a server that has answered does not want the rest of the request (RFC 9113 §8.1)
        code = event.error_code or 0
        if code == ErrorCodes.REFUSED_STREAM and event.remote_reset:
            self.fail(Unprocessed("the server refused the request"))
        elif event.remote_reset:
            self.fail(UpstreamError(f"the server broke off ({error_name(code)})"))
        else:
            self.fail(UpstreamError(f"the server breaks HTTP/2: {error_name(code)}"))

    def deliver(self) -> None:
        """Hands over what has come."""
        exchange = self._exchange
        if exchange is None:
            return
        payload = self._payload[0] if len(self._payload) == 1 else b"".join(self._payload)
        self._payload.clear()
        head, self._answer = self._answer, None
        if head is not None:
            exchange.on_response(head, payload, done=self._ended, trailers=self._trailers)
        else:
            exchange.on_response_data(payload, done=self._ended, trailers=self._trailers)
        if not self._paused:
            self._acknowledge()

    def fail(self, error: UpstreamError, code: ErrorCodes | None = None) -> None:
        """Ends the exchange for a reason; ``code`` is what the server is told, if anything."""
        exchange, self._exchange = self._exchange, None
        self._leave(code)
        if exchange is not None:
            exchange.on_upstream_error(error)

    def _acknowledge(self) -> None:
        """Opens the windows again by what the client has taken (RFC 9113 §6.9)."""
        if self._unacknowledged:
            self._connection.library.acknowledge_received_data(self._unacknowledged, self.number)
            self._unacknowledged = 0
            self._connection.flush()

    def _leave(self, code: ErrorCodes | None = None) -> None:
        if self._over or not self.number:
            return
        self._over = True
        if code is not None:
            with suppress(StreamClosedError):  # the server may have been faster
                self._connection.library.reset_stream(self.number, code)
        self._acknowledge()  # the connection's window is for the others
        self._body = b""
        self._payload.clear()
        self._connection.leave(self.number)
        self._connection.flush()
