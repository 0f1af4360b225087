"""The server's side of HTTP/1.1: one connection, its exchanges one after the other."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, cast

from outward.core import ClientError, UpstreamError
from outward.gateway.http1 import (
    CHUNKED,
    UNTIL_CLOSE,
    Body,
    ChunkedBody,
    ResponseHead,
    body_reader,
    chunk,
    parse_response,
    response_framing,
    split_head,
)
from outward.gateway.rewrite import request_head
from outward.gateway.streams import NotHttp1
from outward.gateway.turn import MAX_KEPT

if TYPE_CHECKING:
    from outward.core import Request
    from outward.credentials.injector import Injector
    from outward.credentials.scrub import Scrubber
    from outward.gateway.exchange import Exchange
    from outward.gateway.http1 import RequestHead
    from outward.gateway.pool import Pool, PoolKey
    from outward.gateway.turn import Turn
    from outward.gateway.upstream_proxy import Forwarding

HIGH_WATER: Final = 256 * 1024
"""Octets waiting to be written before the other side is told to pause. Bounds the memory of a transfer."""

MAX_CARRIED: Final = 1 << 20
"""Octets, in large pieces, after which a connection is not kept: TLS does not give the buffers back that it took for them,
up to a megabyte a connection, and against what was carried another handshake costs little."""

IDLE_TIME: Final = 30.0
"""Seconds for which an idle connection is kept when the server does not say."""

CLOSED: Final = "the server closed the connection"

_KEEP_ALIVE_TIMEOUT: Final = re.compile(r"timeout=([0-9]{1,5})", re.ASCII)


def bounded(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """``transport``, with a bound on what waits in it in either direction.

    TLS also buffers what it has received and nobody has asked for yet, and drops that when the other side hangs up: the end
    of an answer, where the client is slow. So it must not go on receiving while the reader pauses.
    """
    # Not checked by isinstance: transports of uvloop do not derive from asyncio's.
    known = cast(asyncio.Transport, transport)
    known.set_write_buffer_limits(HIGH_WATER)
    if (limit := getattr(known, "set_read_buffer_limits", None)) is not None:  # TLS has it, TCP has no need of it
        limit(1, 0)
    return known


class UpstreamConnection(asyncio.Protocol):
    """One connection to a server; serves one exchange at a time and hands it what arrives, parsed."""

    def __init__(self, pool: Pool, turn: Turn, key: PoolKey) -> None:
        self._pool: Final = pool
        self._turn: Final = turn
        self.key: Final = key
        self.generation: Final = pool.generation
        self.address = ""
        self.forwarding: Forwarding | None = None
        self.agreed = True  # to HTTP/1.1, in the handshake; unless it is said otherwise
        self.transport: asyncio.Transport
        self.exchange: Exchange | None = None
        self.closed = False
        self._served = 0
        self._carried = 0  # octets in large pieces
        self._understood = False
        self.idle_until = 0.0
        self._kept = b""  # until the end of the turn
        self._buffer = b""
        self._method = ""
        self._head: ResponseHead | None = None
        self._body: Body | None = None
        self._length = 0
        self._chunked = False
        self._tunnel = False
        self._paused = False

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.transport = bounded(transport)

    def data_received(self, data: bytes) -> None:
        """Small pieces wait for the end of the turn, large ones are passed on at once."""
        self.take_up()
        if self.exchange is None:
            # Nobody asked: a desynchronised server must not answer the next request with this.
            self.close()
        elif len(data) > MAX_KEPT:
            self._carried += len(data)
            self._take(self.exchange, data)
        else:
            self._kept = data
            self._turn.arrived(self)

    def take_up(self) -> None:
        """See :class:`~outward.gateway.turn.Reader`."""
        data, self._kept = self._kept, b""
        if not data or self.exchange is None:
            return
        try:
            self._take(self.exchange, data)
        except BaseException:
            self.transport.abort()
            raise

    def eof_received(self) -> bool:
        """The server has said all: the end of a body without length, or a failure (see ``connection_lost``)."""
        self.take_up()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the exchange: well if the body was to last until now, else as a failure."""
        self.take_up()
        self.closed = True
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            self._pool.forget(self)
        elif self._tunnel:
            exchange.on_tunnel_closed()
        elif self._head is not None and self._length == UNTIL_CLOSE and exc is None:
            exchange.on_response_data(b"", done=True, trailers="")
        else:
            exchange.on_upstream_error(self.failure(CLOSED))

    def pause_writing(self) -> None:
        """The server reads slowly: let the client wait."""
        if self.exchange is not None:
            self.exchange.client.pause_reading()

    def resume_writing(self) -> None:
        """The server has caught up."""
        if self.exchange is not None:
            self.exchange.client.resume_reading()

    # -- UpstreamStream: used by the exchange

    @property
    def reused(self) -> bool:
        """See :class:`~outward.gateway.streams.UpstreamStream`, likewise below."""
        return self._served > 1

    def scrubber(self, injector: Injector) -> Scrubber | None:
        """What the answer is scrubbed of."""
        return injector.scrubber if self.forwarding is None else self.forwarding.scrubber(injector.scrubber)

    def begin(self, exchange: Exchange, head: RequestHead, request: Request, injector: Injector) -> None:
        """Sends the request's head."""
        self.exchange = exchange
        self._served += 1
        self._method = request.method
        self._chunked = head.length == CHUNKED
        self._head = None
        self._body = None
        self.transport.write(request_head(head, request, injector, self.forwarding))

    def send(self, payload: bytes, *, done: bool) -> None:
        """More of the request's body, or of the tunnel."""
        if self._chunked:
            # Trailers of requests are dropped (RFC 9110 §6.5.1): nothing can become a header behind the policy's back.
            payload = chunk(payload) + (b"0\r\n\r\n" if done else b"")
        if payload:
            if len(payload) > MAX_KEPT:
                self._carried += len(payload)
            self.transport.write(payload)
        if self._tunnel and done:
            self._end_tunnel()

    def _end_tunnel(self) -> None:
        """Nothing more comes from the client. TLS cannot be closed in one direction only."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def pause_reading(self) -> None:
        """Lets the server wait."""
        if not self._paused and not self.closed:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undoes :meth:`pause_reading`."""
        if self._paused and not self.closed:
            self._paused = False
            self.transport.resume_reading()

    def release(self) -> None:
        """The exchange is over on both sides: back to the pool, if the connection is in a clean state."""
        head, self.exchange = self._head, None
        clean = head is not None and head.keep_alive and not self._buffer and not self._tunnel
        if head is None or not clean or self._length == UNTIL_CLOSE or self._carried > MAX_CARRIED:
            self.close()
            return
        self.resume_reading()
        self._pool.put(self, _idle_time(head))

    def close(self) -> None:
        """Closes the connection. What is in flight of a request is lost; what went into a tunnel is delivered."""
        self.exchange = None
        if not self.closed:
            self.closed = True
            if self._tunnel:
                self.transport.close()
            else:
                self.transport.abort()

    def failure(self, message: str, hint: str = "") -> UpstreamError:
        """What to say of a connection that has come to nothing."""
        if self.agreed or self._understood:
            return UpstreamError(message, hint=hint)
        self._pool.mistook(self.key)
        return NotHttp1(message, hint=hint)

    # -- parsing

    def _take(self, exchange: Exchange, data: bytes) -> None:
        """Anything that an answer must not contain ends the exchange."""
        if self._tunnel:
            exchange.on_tunnel_data(data)
            return
        try:
            self._receive(exchange, data)
        except (UpstreamError, ClientError) as error:
            self.close()
            exchange.on_upstream_error(self.failure(error.message, error.hint))

    def _receive(self, exchange: Exchange, data: bytes) -> None:
        while self._head is None:
            if self._buffer:
                data, self._buffer = self._buffer + data, b""
            end = split_head(data)
            if not end:
                self._buffer = data
                return
            head = parse_response(data[:end])
            self._understood = True
            data = data[end:]
            if head.status == 101:
                self._begin_tunnel(exchange, head, data)
                return
            if head.status < 200:
                exchange.on_interim_response(head)
                if not data:
                    return
                continue
            if head.status == 407 and self.forwarding is not None:
                raise self.forwarding.unauthorized()
            self._head = head
            self._length = response_framing(head, self._method)
            self._body = body_reader(self._length, UpstreamError)
            payload, self._buffer = self._body.feed(data)
            exchange.on_response(head, payload, done=self._body.done, trailers=self._trailers())
            return
        assert self._body is not None
        if self._body.done:
            self.close()  # more than the answer: refuse to guess what it belongs to
            return
        payload, self._buffer = self._body.feed(data)
        exchange.on_response_data(payload, done=self._body.done, trailers=self._trailers())

    def _trailers(self) -> str:
        return self._body.trailers if isinstance(self._body, ChunkedBody) else ""

    def _begin_tunnel(self, exchange: Exchange, head: ResponseHead, rest: bytes) -> None:
        self._tunnel = True
        exchange.on_switching_protocols(head)
        if rest and self.exchange is not None:
            exchange.on_tunnel_data(rest)


def _idle_time(head: ResponseHead) -> float:
    """How long the server keeps the connection, less a second so that we are not the ones who are late."""
    if head.keep_alive_hint and (match := _KEEP_ALIVE_TIMEOUT.search(head.keep_alive_hint)):
        return max(0.0, min(float(match[1]) - 1.0, IDLE_TIME))
    return IDLE_TIME
