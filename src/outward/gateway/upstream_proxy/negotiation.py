"""The conversation in which a proxy is asked for a tunnel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from outward.core import Code
from outward.gateway.denial import DialError
from outward.gateway.upstream_proxy import connect, socks

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.core import Proxy
    from outward.gateway.upstream_proxy.choice import Login

NEGOTIATION_TIME: Final = 30.0
"""Seconds for a proxy to open a tunnel; it has to reach the server in this time."""

MAX_ANSWER: Final = 64 * 1024
"""Octets of an answer."""


class Negotiation(asyncio.Protocol):
    """The protocol of a connection until it is handed over to another; keeps what arrives meanwhile."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.received = b""
        self.closed = False
        self._arrival: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        # Not checked by isinstance: transports of uvloop do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Keeps it."""
        self.received += data
        self._tell()

    def eof_received(self) -> bool:
        """Nothing more will come; the connection closes."""
        self.closed = True
        self._tell()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self.closed = True
        self._tell()

    def _tell(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def send(self, data: bytes) -> None:
        """Says something to the proxy."""
        self.transport.write(data)

    async def take(self, size_of: Callable[[bytes], int]) -> bytes:
        """The next octets, as soon as ``size_of`` can tell from what has arrived how many they are (0: not yet).

        Raises :class:`DialError` if the connection ends before, and whatever ``size_of`` raises.
        """
        while not (size := size_of(self.received)):
            if len(self.received) > MAX_ANSWER:
                raise DialError(Code.UPSTREAM_UNREACHABLE, "sends without end")
            if self.closed:
                raise DialError(Code.UPSTREAM_UNREACHABLE, "closed the connection instead of opening a tunnel")
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    async def take_exactly(self, size: int) -> bytes:
        """The next ``size`` octets."""
        return await self.take(lambda received: size if len(received) >= size else 0)

    def hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Ends here: ``protocol`` takes over, with what has arrived for it already."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self.received:
            protocol.data_received(self.received)
        if self.closed:
            protocol.connection_lost(None)


async def ask_for_tunnel(talk: Negotiation, proxy: Proxy, host: str, port: int, login: Login | None) -> None:
    """Has ``proxy`` open a tunnel to ``host``, canonical. Raises :class:`DialError`, which names the proxy."""
    speak = socks.ask if proxy.scheme.startswith("socks") else connect.ask
    try:
        async with asyncio.timeout(NEGOTIATION_TIME):
            await speak(talk, host, port, login)
    except TimeoutError:
        raise DialError(Code.UPSTREAM_TIMEOUT, f"the proxy {proxy} did not open a tunnel in time") from None
    except DialError as error:
        raise DialError(error.code, f"the proxy {proxy} {error.message}", hint=error.hint) from error
    if talk.received:
        # The server waits for us to speak first. Whatever this is, it would be taken for the server's.
        raise DialError(Code.UPSTREAM_UNREACHABLE, f"the proxy {proxy} sent more than its answer")
    if talk.closed:
        raise DialError(Code.UPSTREAM_UNREACHABLE, f"the proxy {proxy} closed the tunnel")
