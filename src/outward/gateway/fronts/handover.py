"""From a socket to HTTP: in the clear, or after TLS with a certificate of ours (docs/architecture.md, step 3)."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final

from outward.gateway.client import ClientConnection
from outward.gateway.record import Record

if TYPE_CHECKING:
    import socket

    from outward.core import Request, Verdict
    from outward.gateway.gateway import Gateway
    from outward.gateway.routes import Route

HANDSHAKE_TIMEOUT: Final = 20.0
"""Seconds for TLS with the client."""


async def speak_http(gateway: Gateway, sock: socket.socket, route: Route, agent: str) -> None:
    """Plain HTTP from here on."""
    await asyncio.get_running_loop().connect_accepted_socket(lambda: ClientConnection(gateway, route, agent), sock)


async def speak_https(
    gateway: Gateway, sock: socket.socket, route: Route, name: str, asked: Request, verdict: Verdict
) -> None:
    """TLS with a certificate for ``name``, and HTTP inside.

    ``asked`` and ``verdict`` are what the journal says of a client that does not complete TLS with us.
    """
    context = gateway.authority.server_context(name)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: ClientConnection(gateway, route, asked.agent),
            sock,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
        )
    except (ssl.SSLError, ConnectionError) as error:
        reason = (error.reason or "").replace("_", " ").lower() if isinstance(error, ssl.SSLError) else "closed"
        reason = f"the client did not complete TLS with us: {reason}"
        Record(gateway, "connect").end(asked, verdict, code=verdict.code, error=reason)
        raise
