"""Dialling: resolve, check each address, connect to the checked address (docs/architecture.md, step 7).

The name is resolved once and the socket is connected to the numeric address that was checked, so there is no second
look-up for an attacker's DNS server to answer differently.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

from outward.core import Code
from outward.gateway.address import refusal
from outward.gateway.denial import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.core import Destination

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one address to answer."""

HANDSHAKE_TIMEOUT: Final = 15.0
"""Seconds for TLS with the upstream."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


class DialError(Refused):
    """A destination that could not be dialled."""


class Dialler:
    """Opens connections to destinations. One a gateway: it knows the gateway's own listeners and never dials them."""

    def __init__(self) -> None:
        self._own: set[int] = set()
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    def never_dial(self, port: int) -> None:
        """Registers the port of a listener of ours: no policy can make the gateway talk to itself."""
        self._own.add(port)

    async def open(self, destination: Destination, host: str, factory: Callable[[], P], *, tls: bool) -> tuple[P, str]:
        """Connects to ``host`` as the destination says and gives the protocol and the address that was dialled.

        Raises :class:`DialError`. With ``tls`` the server's certificate must cover ``host``.
        """
        sock, address = await self._connect(destination, host)
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(
                factory,
                sock=sock,
                ssl=self._tls_context(destination.ca) if tls else None,
                server_hostname=host if tls else None,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if tls else None,
            )
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise DialError(
                Code.UPSTREAM_TLS,
                f"the certificate of {host} is not valid: {error.verify_message}",
                hint="A private authority is named in the policy with `ca:`. Verification cannot be turned off.",
            ) from error
        except (ssl.SSLError, OSError) as error:
            sock.close()
            raise DialError(Code.UPSTREAM_TLS, f"TLS with {host} failed: {_reason(error)}") from error
        return protocol, address

    def _tls_context(self, ca: str | None) -> ssl.SSLContext:
        """System roots, plus the destination's own (PEM text) if it names one."""
        context = self._contexts.get(ca)
        if context is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if ca is not None:
                context.load_verify_locations(cadata=ca)
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[ca] = context
        return context

    async def _connect(self, destination: Destination, host: str) -> tuple[socket.socket, str]:
        """A connected socket to the first address that is allowed and answers."""
        target, port = destination.connect_to or (host, destination.port)
        # `connect_to` is the person's own choice of an address, so it may be private; it is still never ourselves.
        exempt = destination.connect_to is not None or destination.allow_private
        refused, failed = "", ""
        for family, address in await self._resolve(target, port):
            reason = None if exempt else refusal(address)
            if reason is None and port in self._own and _is_local(address):
                reason = f"{address}:{port} is this gateway itself"
            if reason is not None:
                refused = reason
                continue
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (address, port)), CONNECT_TIMEOUT)
            except TimeoutError:
                failed = f"{address}:{port} did not answer"
                sock.close()
            except OSError as error:
                failed = f"{address}:{port}: {_reason(error)}"
                sock.close()
            except asyncio.CancelledError:
                sock.close()
                raise
            else:
                return sock, address
        if failed or not refused:
            raise DialError(Code.UPSTREAM_UNREACHABLE, failed or f"the name {target} has no address")
        raise DialError(
            Code.ADDRESS_NOT_ALLOWED,
            refused,
            hint="If that is meant, say so in the policy: `connect_to:` or `allow_private: true`.",
        )

    @staticmethod
    async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(
                loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP), CONNECT_TIMEOUT
            )
        except TimeoutError:
            raise DialError(Code.UPSTREAM_UNREACHABLE, f"the name {host} was not resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise DialError(Code.UPSTREAM_UNREACHABLE, f"the name {host} cannot be resolved") from error
        # A scoped IPv6 address ("fe80::1%eth0") keeps its scope out of the check: link-local is refused anyway.
        return [(family, str(address[0]).partition("%")[0]) for family, _, _, _, address in found]


def _is_local(address: str) -> bool:
    """Whether this machine itself answers to ``address``: binding to it works for own addresses only."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "protocol error").replace("_", " ").lower()
    return os.strerror(error.errno) if error.errno else type(error).__name__
