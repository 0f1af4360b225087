"""The client's side of HTTP/1.1: one connection, its requests one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from outward.core import ClientError, Code, Request
from outward.gateway.answer import Answer
from outward.gateway.denial import Denial
from outward.gateway.exchange import Exchange
from outward.gateway.http1 import MAX_HEAD, RequestHead, ResponseHead, body_reader, parse_request, split_head
from outward.gateway.record import Record
from outward.gateway.tunnel import TUNNEL_TIME
from outward.gateway.turn import MAX_KEPT
from outward.gateway.upstream import bounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.credentials.scrub import Scrubber
    from outward.gateway.gateway import Gateway
    from outward.gateway.http1 import Body
    from outward.gateway.routes import Route

HEAD_TIME: Final = 30.0
"""Seconds for a head to arrive once it has begun."""

KEEP_TIME: Final = 300.0
"""Seconds for which a connection may be idle between requests."""

EXCHANGE_TIME: Final = 600.0
"""Seconds without an octet in either direction. Idle, not total: a stream may last for days."""


MAX_DISCARDED: Final = 256 * 1024 * 1024
"""Octets of an unwanted request body that are read and dropped. Closing earlier would reset the answer away unread."""


class ClientConnection(asyncio.Protocol):
    """Reads requests and makes an :class:`Exchange` of each; pipelined ones wait their turn (RFC 9112 §9.3.2).

    To the exchange it is the :class:`~outward.gateway.streams.ClientStream`.

    ``unused`` is called when a client goes that has asked nothing.
    """

    http2: Final = False

    def __init__(self, gateway: Gateway, route: Route, agent: str, unused: Callable[[], None] | None = None) -> None:
        self.gateway: Final = gateway
        self.route: Final = route
        self.agent: Final = agent
        self.transport: asyncio.Transport
        self.last_activity = 0.0
        self.write_paused = False
        self._kept = b""  # until the end of the turn
        self._unsent: Final[list[bytes]] = []  # likewise
        self._buffer = b""  # what belongs to the next request
        self._exchange: Exchange | None = None
        self._head: RequestHead
        self._reader: Body
        self._answer: Answer | None = None
        self._unused = unused  # until something comes
        self._tunnel = False
        self._closes = False  # after this exchange
        self._discarded = -1  # octets of an unwanted body so far; -1 while none is being discarded
        self._pumping = False
        self._paused = False
        self._closing = False

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.transport = bounded(transport)
        self.last_activity = self.gateway.clock()
        self.gateway.joined(self)

    def data_received(self, data: bytes) -> None:
        """Small pieces wait for the end of the turn, large ones are passed on at once."""
        self.last_activity = self.gateway.clock()
        self.take_up()
        if len(data) > MAX_KEPT:
            self._take(data)
        else:
            self._kept = data
            self.gateway.turn.arrived(self)

    def take_up(self) -> None:
        """See :class:`~outward.gateway.turn.Reader`."""
        data, self._kept = self._kept, b""
        if not data:
            return
        try:
            self._take(data)
        except BaseException:
            self.abort()
            raise

    def eof_received(self) -> bool:
        """A client that has said all is gone; half-closed HTTP connections serve nobody but smugglers.

        In a tunnel the server may still have something to say, and can where neither side has TLS in between.
        """
        self.take_up()
        if self._tunnel and self._exchange is not None:
            self._exchange.on_request_body(b"", done=True)
            return self.transport.can_write_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self.take_up()
        if self._unused is not None and not self._closing:
            self._unused()
        self._closing = True
        self.gateway.left(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.on_client_lost()

    def pause_writing(self) -> None:
        """The client reads slowly: let the server wait."""
        self.write_paused = True
        if self._exchange is not None:
            self._exchange.pause_upstream()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        if self._exchange is not None:
            self._exchange.resume_upstream()

    # -- ClientStream: used by the exchange

    @property
    def answer_octets(self) -> int:
        """See :class:`~outward.gateway.streams.ClientStream`, likewise below."""
        return self._answer.octets if self._answer is not None else 0

    def interim(self, head: ResponseHead, scrubber: Scrubber | None) -> None:
        """HTTP/1.0 clients do not know them."""
        self._write(Answer(self._head, scrubber, closes=False).interim(head))

    def answer(
        self, head: ResponseHead, scrubber: Scrubber | None, payload: bytes, *, done: bool, trailers: str
    ) -> None:
        """The answer's head."""
        # The client may or may not send the body that it asked about; only closing settles it.
        closes = self._closes or (self._head.expect_continue and not self._reader.done)
        answer = Answer(self._head, scrubber, closes=closes)
        out = answer.begin(head, payload, done=done, trailers=trailers)
        self._answer = answer
        self._closes = answer.closes
        self._write(out)

    def answer_more(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the answer's body."""
        assert self._answer is not None
        out = self._answer.more(payload, done=done, trailers=trailers)
        if out:
            self._write(out)

    def switch(self, head: ResponseHead, scrubber: Scrubber | None) -> None:
        """What the client sent before it knew belongs to the tunnel."""
        self._tunnel = True
        self._write(Answer(self._head, scrubber, closes=True).switching(head))
        early, self._buffer = self._buffer, b""
        self.resume_reading()  # too much of it was held up
        if early:
            self._take(early)

    def tunnel(self, data: bytes) -> None:
        """Octets from the server."""
        self._write(data)

    def refuse(self, denial: Denial) -> None:
        """A refusal in place of an answer."""
        # A client that waits for 100 may or may not send its body now; only closing settles it.
        self._closes |= self._head.expect_continue or denial.code is Code.MALFORMED_REQUEST
        self._write(denial.response(head_only=self._head.method == "HEAD", close=self._closes))

    def exchange_done(self) -> None:
        """The rest of a body that nobody wants is read, so that the client gets to read the answer."""
        self._exchange = self._answer = None
        self.resume_reading()  # the server may have held it up, and will not say any more that it has caught up
        if self._reader.done:
            self._next()
        elif self._head.expect_continue:
            self.close()
        else:
            self._discarded = 0

    def pause_reading(self) -> None:
        """Lets the client wait with its body."""
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undoes :meth:`pause_reading`."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def drain(self) -> None:
        """See :class:`~outward.gateway.gateway.Connection`. ``_next`` closes what is in use now."""
        if not self.busy:
            self.close()

    def close(self) -> None:
        """Closes after what has been written is sent."""
        self._closing = True
        if not self._unsent:
            self.transport.close()

    def abort(self) -> None:
        """Closes at once, so that the client sees a cut answer for what it is."""
        self._closing = True
        self._unsent.clear()
        self.transport.abort()

    def _write(self, data: bytes) -> None:
        self.last_activity = self.gateway.clock()
        self._unsent.append(data)
        if self.gateway.turn.taking_up:
            self.gateway.turn.writing(self)
        else:
            self.flush()

    def flush(self) -> None:
        """See :class:`~outward.gateway.turn.Writer`."""
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            if not self.transport.is_closing():  # the client may have gone in this very turn
                self.transport.write(data)
            if self._closing:
                self.transport.close()

    # -- requests

    @property
    def busy(self) -> bool:
        """Whether a request is in flight."""
        return self._exchange is not None or self._discarded >= 0

    def _take(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            if self._discarded >= 0:
                self._read_body(data)
            elif not self._closing:
                self._unused = None
                self._buffer = self._buffer + data if self._buffer else data
                self._pump()
        elif self._tunnel:
            exchange.on_request_body(data, done=False)
        elif self._reader.done:
            self._keep(data)
        else:
            self._read_body(data)

    def _read_body(self, data: bytes) -> None:
        exchange = self._exchange
        try:
            payload, rest = self._reader.feed(data)
        except ClientError as error:
            if exchange is not None:
                exchange.on_request_malformed(error)
            self.close()
            return
        if rest:
            self._keep(rest)
        if exchange is not None:
            exchange.on_request_body(payload, done=self._reader.done)
            return
        self._discarded += len(payload)
        if self._reader.done:
            self._next()
        elif self._discarded > MAX_DISCARDED:
            self.close()

    def _keep(self, data: bytes) -> None:
        """Keeps what belongs to the next request."""
        self._buffer += data
        if len(self._buffer) > MAX_HEAD:
            self.pause_reading()

    def _next(self) -> None:
        """The request and its answer are complete."""
        self._discarded = -1
        if self._closes or self.gateway.draining:
            self.close()
        elif self._buffer:
            self._pump()

    def _pump(self) -> None:
        """Begins the next request that is complete. A loop, not recursion: a client may pipeline thousands."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self.busy and self._buffer and not self._closing:
                if self._buffer.startswith(b"\r\n"):
                    self._buffer = self._buffer[2:]  # RFC 9112 §2.2: an empty line before a request is skipped
                    continue
                end = split_head(self._buffer)
                if not end:
                    return
                head = parse_request(self._buffer[:end])
                rest, self._buffer = self._buffer[end:], b""
                self._head = head
                self._reader = body_reader(head.length, ClientError)
                self._closes = not head.keep_alive
                exchange = self._exchange = Exchange(self.gateway, self, head)
                exchange.begin(done=self._reader.done)
                if rest:
                    self._take(rest)
        except ClientError as error:
            scheme, host, port = self.route.origin
            unread = Request(self.agent, "", scheme, host, port, "", "")
            Record(self.gateway, "http").end(unread, None, code=Code.MALFORMED_REQUEST, error=error.message)
            self._write(Denial(Code.MALFORMED_REQUEST, detail=error.message).response(close=True))
            self.close()
        finally:
            self._pumping = False

    def sweep(self, now: float) -> None:
        """Ends what has not moved for too long."""
        idle = now - self.last_activity
        exchange = self._exchange
        if exchange is None:
            if idle > (HEAD_TIME if self._buffer or self._discarded >= 0 else KEEP_TIME):
                self.close()
        elif idle > (TUNNEL_TIME if exchange.is_tunnel else EXCHANGE_TIME):
            exchange.expire()
