"""The client's side of HTTP/1.1: one connection, its requests one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from outward.core import ClientError, Code, Request
from outward.gateway.denial import Denial
from outward.gateway.exchange import Exchange
from outward.gateway.http1 import MAX_HEAD, parse_request, split_head
from outward.gateway.record import Record
from outward.gateway.tunnel import TUNNEL_TIME
from outward.gateway.upstream import HIGH_WATER

if TYPE_CHECKING:
    from outward.gateway.gateway import Gateway
    from outward.gateway.routes import Route

HEAD_TIME: Final = 30.0
"""Seconds for a head to arrive once it has begun."""

KEEP_TIME: Final = 300.0
"""Seconds for which a connection may be idle between requests."""

EXCHANGE_TIME: Final = 600.0
"""Seconds without an octet in either direction. Idle, not total: a stream may last for days."""


class ClientConnection(asyncio.Protocol):
    """Reads requests and makes an :class:`Exchange` of each; pipelined ones wait their turn (RFC 9112 §9.3.2)."""

    def __init__(self, gateway: Gateway, route: Route, agent: str) -> None:
        self.gateway: Final = gateway
        self.route: Final = route
        self.agent: Final = agent
        self.transport: asyncio.Transport
        self.last_activity = 0.0
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._pumping = False
        self._paused = False
        self._closing = False
        self.write_paused = False

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        # Not checked by isinstance: transports of uvloop do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self.last_activity = self.gateway.clock()
        self.gateway.joined(self)

    def data_received(self, data: bytes) -> None:
        """A head, a body, or something that has to wait."""
        self.last_activity = self.gateway.clock()
        exchange = self._exchange
        if exchange is not None:
            exchange.on_request_data(data)
        elif not self._closing:
            self._buffer = self._buffer + data if self._buffer else data
            self._pump()

    def eof_received(self) -> bool:
        """A client that has said all is gone; half-closed HTTP connections serve nobody but smugglers."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
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

    # -- used by the exchange

    def write(self, data: bytes) -> None:
        """Sends to the client."""
        self.last_activity = self.gateway.clock()
        self.transport.write(data)

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

    def keep(self, data: bytes) -> None:
        """Keeps what belongs to the next request."""
        self._buffer += data
        if len(self._buffer) > MAX_HEAD:
            self.pause_reading()

    def exchange_done(self, *, close: bool) -> None:
        """The exchange is over on both sides."""
        self._exchange = None
        if close or self.gateway.draining:
            self.close()
            return
        self.resume_reading()
        if self._buffer:
            self._pump()

    def close(self) -> None:
        """Closes after what has been written is sent."""
        self._closing = True
        self.transport.close()

    def abort(self) -> None:
        """Closes at once, so that the client sees a cut answer for what it is."""
        self._closing = True
        self.transport.abort()

    # -- requests

    @property
    def busy(self) -> bool:
        """Whether a request is in flight."""
        return self._exchange is not None

    def _pump(self) -> None:
        """Begins the next request that is complete. A loop, not recursion: a client may pipeline thousands."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._exchange is None and self._buffer and not self._closing:
                if self._buffer.startswith(b"\r\n"):
                    self._buffer = self._buffer[2:]  # RFC 9112 §2.2: an empty line before a request is skipped
                    continue
                end = split_head(self._buffer)
                if not end:
                    return
                head = parse_request(self._buffer[:end])
                rest, self._buffer = self._buffer[end:], b""
                exchange = self._exchange = Exchange(self.gateway, self, head)
                exchange.begin(rest)
        except ClientError as error:
            scheme, host, port = self.route.origin
            unread = Request(self.agent, "", scheme, host, port, "", "")
            Record(self.gateway, "http").end(unread, None, code=Code.MALFORMED_REQUEST, error=error.message)
            self.transport.write(Denial(Code.MALFORMED_REQUEST, detail=error.message).response(close=True))
            self.close()
        finally:
            self._pumping = False

    def sweep(self, now: float) -> None:
        """Ends what has not moved for too long."""
        idle = now - self.last_activity
        exchange = self._exchange
        if exchange is None:
            if idle > (HEAD_TIME if self._buffer else KEEP_TIME):
                self.close()
        elif idle > (TUNNEL_TIME if exchange.is_tunnel else EXCHANGE_TIME):
            exchange.expire()
