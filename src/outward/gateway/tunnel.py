"""Passthrough: TLS that is not intercepted, or whatever is spoken with an address. What can be checked has been checked; the
octets are none of our business."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from outward.gateway.record import Record
from outward.gateway.upstream import bounded

if TYPE_CHECKING:
    from outward.core import Code, Request, Verdict
    from outward.gateway.gateway import Gateway

TUNNEL_TIME: Final = 3600.0
"""Seconds without an octet in either direction after which a tunnel, or an upgraded connection, is closed."""


class TunnelEnd(asyncio.Protocol):
    """One side; what it receives goes to the other."""

    def __init__(self, tunnel: Tunnel, *, from_client: bool) -> None:
        self._tunnel: Final = tunnel
        self._from_client: Final = from_client
        self.peer: TunnelEnd
        self._ended = False
        self._held = b""
        self.begun: Final = asyncio.Event()
        """Set with the first octets, and at the end."""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.transport = bounded(transport)

    def data_received(self, data: bytes) -> None:
        """Passes it on; what comes before both ends are there is held: a server that speaks first waits for nobody."""
        self._tunnel.count(len(data), from_client=self._from_client)
        if self._tunnel.joined:
            self.peer.transport.write(data)
        else:
            self._held += data
            self.begun.set()

    def eof_received(self) -> bool:
        """Half-closes the other side (TLS inside may still have something to say)."""
        self._ended = True
        self.begun.set()
        return not self._tunnel.joined or self._pass_end()

    def release(self) -> None:
        """Passes on what was held."""
        held, self._held = self._held, b""
        if held:
            self.peer.transport.write(held)
        if self._ended and not self._pass_end():
            self.transport.close()

    def _pass_end(self) -> bool:
        if self.peer._ended or not self.peer.transport.can_write_eof():
            return False
        self.peer.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the tunnel."""
        self.begun.set()
        self._tunnel.close()

    def pause_writing(self) -> None:
        """This side is slow: the other waits."""
        if not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side has caught up."""
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()


class Tunnel:
    """Two ends and the record of what went through."""

    def __init__(self, gateway: Gateway, request: Request, verdict: Verdict) -> None:
        self._gateway: Final = gateway
        self._request: Final = request
        self._verdict: Final = verdict
        self._record: Final = Record(gateway, "tunnel")
        self._last = gateway.clock()
        self._closed = False
        self.joined = False
        self.client: Final = TunnelEnd(self, from_client=True)
        self.server: Final = TunnelEnd(self, from_client=False)
        self.client.peer, self.server.peer = self.server, self.client

    def start(self) -> None:
        """Before anything is dialled. Raises :class:`~outward.core.JournalUnavailable`."""
        self._record.start(self._request, self._verdict, ())
        self._gateway.journal.commit()

    def join(self, address: str) -> None:
        """Both ends are connected: let the octets flow. Until now the server's end need not be read."""
        self._record.address = address
        if self._closed:  # the server has gone while the client said hello
            self.client.transport.close()
            return
        self._gateway.joined(self)
        self.joined = True
        self.server.transport.resume_reading()  # before: if what was held is much for the client, the server has to wait again
        self.client.release()
        self.server.release()

    def count(self, octets: int, *, from_client: bool) -> None:
        """Notes what passed."""
        self._last = self._gateway.clock()
        if from_client:
            self._record.body_in += octets
        else:
            self._record.body_out += octets

    def close(self, error: str | None = None) -> None:
        """Closes both ends, once. ``error`` is what went wrong, for the record."""
        self._end(error=error)

    def drain(self) -> None:
        """Nobody can tell where something ends in it: it goes on until it is aborted."""

    def refuse(self, code: Code, error: str) -> None:
        """Closes before anything has passed, and records why."""
        self._end(code, error)

    def _end(self, code: Code | None = None, error: str | None = None) -> None:
        if self._closed:
            return
        self._closed = True
        self._gateway.left(self)
        for end in (self.client, self.server):
            if hasattr(end, "transport"):
                end.transport.close()
        self._record.end(self._request, self._verdict, code=code, error=error)

    abort = close

    def sweep(self, now: float) -> None:
        """Closes a tunnel through which nothing has gone for too long."""
        if now - self._last > TUNNEL_TIME:
            self.close()
