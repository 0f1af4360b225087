"""One stream: a request of an HTTP/2 client and its answer (RFC 9113 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes

from outward.core import ClientError, Code, Request
from outward.gateway.client import EXCHANGE_TIME
from outward.gateway.denial import Denial
from outward.gateway.exchange import Exchange
from outward.gateway.http2 import grpc
from outward.gateway.http2.answer import Http2Answer
from outward.gateway.http2.heads import field_list, request_head, trailer_section
from outward.gateway.record import Record
from outward.gateway.tunnel import TUNNEL_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.credentials.scrub import Scrubber
    from outward.gateway.gateway import Gateway
    from outward.gateway.http1 import RequestHead, ResponseHead
    from outward.gateway.http2.connection import Http2Connection
    from outward.gateway.http2.heads import FieldLine
    from outward.gateway.routes import Route

BUFFERED: Final = 64 * 1024
"""Octets of an answer that wait for the client's window before the server has to wait. One read may come on top."""

LARGE: Final = 1024
"""Octets of a DATA frame that is worth its WINDOW_UPDATEs, even though the window allowed no more."""


class Http2Stream:
    """To the exchange it is the :class:`~outward.gateway.streams.ClientStream`.

    Data is acknowledged (WINDOW_UPDATE) as the server takes it, so a request's memory is bounded by the stream's window; an
    answer waits here for the client's.
    """

    __slots__ = (
        "_answer",
        "_connection",
        "_early",
        "_ending",
        "_exchange",
        "_finished",
        "_head",
        "_paused",
        "_pending",
        "_trailers",
        "_unacknowledged",
        "last_activity",
        "number",
        "received",
        "write_paused",
    )
    http2: Final = True

    def __init__(self, connection: Http2Connection, number: int) -> None:
        self._connection: Final = connection
        self.number: Final = number
        self.last_activity = connection.gateway.clock()
        self.received = False
        """Whether the client has sent all of its request."""
        self.write_paused = False
        self._head: RequestHead | None = None
        self._exchange: Exchange | None = None
        self._answer: Http2Answer | None = None
        self._early = b""  # what the client of a WebSocket says before the server has accepted it
        self._unacknowledged = 0
        self._paused = False
        self._pending = bytearray()
        self._trailers: list[FieldLine] = []
        self._ending = False  # what is pending is all
        self._finished = False  # all has been sent

    @property
    def agent(self) -> str:
        """See :class:`~outward.gateway.streams.ClientStream`, likewise below."""
        return self._connection.agent

    @property
    def route(self) -> Route:
        """Where the connection leads."""
        return self._connection.route

    @property
    def _gateway(self) -> Gateway:
        return self._connection.gateway

    # -- the client's events

    def begin(self, fields: Iterable[FieldLine], *, ended: bool) -> None:
        """The request's head. ``ended``: there is no body."""
        self.received = ended
        try:
            head = request_head(fields, scheme=self.route.origin[0], ended=ended)
        except ClientError as error:
            scheme, host, port = self.route.origin
            unread = Request(self.agent, "", scheme, host, port, "", "")
            Record(self._gateway, "http").end(unread, None, code=Code.MALFORMED_REQUEST, error=error.message)
            self.refuse(Denial(Code.MALFORMED_REQUEST, detail=error.message))
            self.exchange_done()
            return
        self._head = head
        self._exchange = Exchange(self._gateway, self, head)
        self._exchange.begin(done=ended or head.websocket)

    def receive(self, data: bytes, size: int, *, ended: bool) -> None:
        """Some of the body; ``size`` is what it takes of the window, padding included."""
        self.last_activity = self._gateway.clock()
        self._unacknowledged += size
        self.received |= ended
        exchange, head = self._exchange, self._head
        if exchange is not None and head is not None and (data or ended):
            if not head.websocket or exchange.is_tunnel:
                exchange.on_request_body(data, done=ended)
            elif ended:
                self.abort()
            else:
                self._early += data  # not acknowledged before it can go on
                return
        if not self._paused:
            self.acknowledge()

    def receive_trailers(self, fields: Iterable[FieldLine]) -> None:
        """Trailers of a request are looked at and dropped, like those of HTTP/1.1: none of them can become a header."""
        try:
            trailer_section(fields, ClientError)
        except ClientError as error:
            self.received = True
            exchange, self._exchange = self._exchange, None
            if exchange is not None:
                exchange.on_request_malformed(error)
            if self._ending:
                self._settle()
                self._connection.write_soon()
            else:
                self._connection.reset(self, ErrorCodes.PROTOCOL_ERROR)
            return
        self.receive(b"", 0, ended=True)

    def lost(self) -> None:
        """The client has reset the stream, or has gone."""
        exchange, self._exchange = self._exchange, None
        self._pending.clear()
        if exchange is not None:
            exchange.on_client_lost()

    # -- ClientStream: used by the exchange

    @property
    def answer_octets(self) -> int:
        """Octets of the answer's body so far."""
        return self._answer.octets if self._answer is not None else 0

    def interim(self, head: ResponseHead, scrubber: Scrubber | None) -> None:
        """An answer before the answer."""
        self._connection.send_headers(self, self._new_answer(scrubber).interim(head), end=False)

    def answer(
        self, head: ResponseHead, scrubber: Scrubber | None, payload: bytes, *, done: bool, trailers: str
    ) -> None:
        """The answer's head."""
        answer = self._new_answer(scrubber)
        fields, body = answer.begin(head, payload, whole=done and not trailers)
        self._answer = answer
        if done and trailers:
            body += answer.more(b"", done=True)
        self._begin_answer(fields, body, done=done, trailers=answer.trailers(trailers))

    def answer_more(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the answer's body."""
        answer = self._answer
        assert answer is not None
        self._pending += answer.more(payload, done=done)
        if done:
            self._trailers = answer.trailers(trailers)
            self._ending = True
        self._go_on()

    def switch(self, head: ResponseHead, scrubber: Scrubber | None) -> None:
        """What the client sent before it knew belongs to the tunnel."""
        exchange = self._exchange
        assert exchange is not None
        self._begin_answer(self._new_answer(scrubber).switching(head), b"", done=False)
        early, self._early = self._early, b""
        if early:
            exchange.on_request_body(early, done=False)
        self.acknowledge()

    def tunnel(self, data: bytes) -> None:
        """Octets from the server."""
        self._pending += data
        self._go_on()

    def refuse(self, denial: Denial) -> None:
        """A refusal in place of an answer."""
        head = self._head
        status = (b":status", b"%d" % denial.status)
        if head is not None and grpc.is_grpc(head):
            self._begin_answer([status, *grpc.refusal(denial)], b"", done=True)
        else:
            bodiless = head is not None and head.method == "HEAD"
            self._begin_answer([status, *field_list(denial.lines)], b"" if bodiless else denial.body, done=True)

    def exchange_done(self) -> None:
        """What the client still sends of its request is dropped, until it learns that nobody wants it."""
        self._exchange = None
        self.resume_reading()
        self._settle()
        self._connection.write_soon()

    def pause_reading(self) -> None:
        """Holds back acknowledgements: the client's window closes."""
        self._paused = True

    def resume_reading(self) -> None:
        """Undoes :meth:`pause_reading`."""
        if self._paused:
            self._paused = False
            self.acknowledge()
            self._connection.write_soon()

    def close(self) -> None:
        """Ends the stream after what is pending."""
        self._exchange = None
        self._ending = True
        self._go_on()

    def abort(self) -> None:
        """Ends the stream so that the client cannot take its answer for whole (RFC 9113 §8.1)."""
        self.lost()
        if self._finished:
            self._settle()
            self._connection.write_soon()
        else:
            self._connection.reset(self, ErrorCodes.INTERNAL_ERROR)

    # -- what goes out

    def _new_answer(self, scrubber: Scrubber | None) -> Http2Answer:
        assert self._head is not None
        return Http2Answer(self._head, scrubber)

    def _begin_answer(
        self, fields: list[FieldLine], body: bytes, *, done: bool, trailers: list[FieldLine] | None = None
    ) -> None:
        self._trailers = trailers or []
        self._pending += body
        self._ending = done
        self._finished = done and not self._pending and not self._trailers
        self._connection.send_headers(self, fields, end=self._finished)
        self._go_on()

    def _go_on(self) -> None:
        """Lets the connection send what it can; if that leaves too much, the server has to wait."""
        self._connection.send(self)
        if len(self._pending) > BUFFERED and not self.write_paused and self._exchange is not None:
            self.write_paused = True
            self._exchange.pause_upstream()

    @property
    def waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._pending) or (self._ending and not self._finished)

    def send_frame(self) -> bool:
        """Sends one frame, if the client's windows allow one."""
        h2, number, pending = self._connection.h2, self.number, self._pending
        if pending:
            size = min(len(pending), h2.local_flow_control_window(number), h2.max_outbound_frame_size)
            if size <= 0:
                return False
            piece = bytes(pending[:size])
            del pending[:size]
            self._finished = self._ending and not pending and not self._trailers
            h2.send_data(number, piece, end_stream=self._finished)
            if size >= LARGE or not pending:
                self._connection.allowance.earn(2)  # the client will update two windows for it
        else:
            self._finished = True
            if self._trailers:
                h2.send_headers(number, self._trailers, end_stream=True)
            else:
                h2.end_stream(number)
        self.last_activity = self._gateway.clock()
        if self.write_paused and len(pending) <= BUFFERED // 2:
            self.write_paused = False
            if self._exchange is not None:
                self._exchange.resume_upstream()
        self._settle()
        return True

    def _settle(self) -> None:
        if self._finished and self._exchange is None:
            self._connection.settle(self)

    def acknowledge(self) -> None:
        """Opens the client's window by what has been taken."""
        size, self._unacknowledged = self._unacknowledged, 0
        if size:
            self._connection.h2.acknowledge_received_data(size, self.number)

    def sweep(self, now: float) -> None:
        """Ends what has not moved for too long. Idle, not total: a stream may last for days."""
        exchange, idle = self._exchange, now - self.last_activity
        if exchange is None:
            if idle > EXCHANGE_TIME:  # a client that does not take the rest of its answer
                self._connection.reset(self, ErrorCodes.CANCEL)
        elif idle > (TUNNEL_TIME if exchange.is_tunnel else EXCHANGE_TIME):
            exchange.expire()
