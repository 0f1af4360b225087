"""From a socket to HTTP: in the clear, or after TLS with a certificate of ours (docs/architecture.md, step 3)."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, cast

from outward.gateway.client import ClientConnection
from outward.gateway.http2.connection import Http2Connection
from outward.gateway.record import Record

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from outward.core import Request, Verdict
    from outward.gateway.gateway import Gateway
    from outward.gateway.routes import Route

HANDSHAKE_TIMEOUT: Final = 20.0
"""Seconds for TLS with the client."""

ALPN: Final = ("http/1.1", "h2")
"""What we speak, the first that the client offers, too (RFC 7301 §3.2): a request costs less in HTTP/1.1."""


_UNUSED: Final = "the client closed after TLS without a request, as some do that do not trust our certificate"


async def speak_http(gateway: Gateway, sock: socket.socket, route: Route, agent: str) -> None:
    """Plain HTTP from here on."""
    await asyncio.get_running_loop().connect_accepted_socket(lambda: ClientConnection(gateway, route, agent), sock)


async def speak_https(
    gateway: Gateway, sock: socket.socket, route: Route, name: str, asked: Request, verdict: Verdict
) -> None:
    """TLS with a certificate for ``name``, and HTTP inside.

    ``asked`` and ``verdict`` are what the journal says of a client that does not complete TLS with us, or goes after it.
    """
    context = gateway.authority.server_context(name, ALPN)

    def unused() -> None:
        Record(gateway, "connect").end(asked, verdict, code=verdict.code, error=_UNUSED)

    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: _Negotiating(gateway, route, asked.agent, unused),
            sock,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
        )
    except (ssl.SSLError, ConnectionError) as error:
        reason = (error.reason or "").replace("_", " ").lower() if isinstance(error, ssl.SSLError) else "closed"
        reason = f"the client did not complete TLS with us: {reason}"
        Record(gateway, "connect").end(asked, verdict, code=verdict.code, error=reason)
        raise


class _Negotiating(asyncio.Protocol):
    """Stands in until TLS has told which version of HTTP the client speaks."""

    def __init__(self, gateway: Gateway, route: Route, agent: str, unused: Callable[[], None]) -> None:
        self._gateway: Final = gateway
        self._route: Final = route
        self._agent: Final = agent
        self._unused: Final = unused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        kind = Http2Connection if chosen == "h2" else ClientConnection
        protocol = kind(self._gateway, self._route, self._agent, self._unused)
        cast(asyncio.Transport, transport).set_protocol(protocol)
        protocol.connection_made(transport)
