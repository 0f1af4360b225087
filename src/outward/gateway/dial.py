"""Dialling: resolve, check each address, connect to the checked address (docs/architecture.md, step 7).

The name is resolved once and the socket is connected to the numeric address that was checked, so there is no second
look-up for an attacker's DNS server to answer differently. Where a proxy of somebody else is between, the proxy is dialled,
and resolves the name: what can be known here about the destination is checked all the same.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from outward.core import Code
from outward.core.canonical import is_address
from outward.core.records import NamedTuple
from outward.gateway.denial import DialError
from outward.gateway.guard import Guard, proxies_at
from outward.gateway.identity import Identity, identity_for
from outward.gateway.local import Outgoing
from outward.gateway.names import Glance, resolve
from outward.gateway.upstream_proxy import Forwarding, Negotiation, ask_for_tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outward.core import Destination, Proxy
    from outward.gateway.upstream_proxy import ProxyChoice

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one address to answer."""

HANDSHAKE_TIMEOUT: Final = 15.0
"""Seconds for TLS with the upstream."""

HTTP1: Final = ("http/1.1",)
"""Names of protocols (RFC 7301 §6)."""

P = TypeVar("P", bound=asyncio.Protocol)


class Dialled(NamedTuple, Generic[P]):
    """An open connection: its protocol, and the address that was dialled, a proxy's where there is one.

    ``forwarding`` is set where requests have to be in the form that a proxy sends on.
    """

    protocol: P
    address: str
    forwarding: Forwarding | None = None


class NoCommonProtocol(DialError):
    """A server that speaks none of the protocols that it was offered."""

    def __init__(self, host: str) -> None:
        super().__init__(
            Code.UPSTREAM_UNREACHABLE, f"{host} speaks no version of HTTP that this request can be sent in"
        )


class Dialler:
    """Opens connections to destinations. One a gateway: it knows the gateway's own listeners and never dials them."""

    def __init__(self) -> None:
        self._guard: Final = Guard()
        self._glance: Final = Glance()
        self._contexts: dict[tuple[str | None, tuple[str, ...], str | None], _Context] = {}
        self.outgoing: Final = Outgoing()
        self.never_dial: Final = self._guard.never_dial

    async def open(
        self,
        destination: Destination,
        host: str,
        factory: Callable[[], P],
        choice: ProxyChoice,
        *,
        tls: bool,
        alpn: tuple[str, ...] = HTTP1,
        forwardable: bool = False,
    ) -> Dialled[P]:
        """Connects to ``host`` as the destination says, through the proxy that ``choice`` has for it.

        With ``tls`` the server's certificate must cover ``host``, and ``alpn`` is offered, what is preferred first.
        ``forwardable``: what follows are requests that a proxy may be given, instead of being asked for a tunnel. Raises
        :class:`DialError`, :class:`NoCommonProtocol` if the server says that nothing of ``alpn`` will do (RFC 7301 §3.2), and
        :class:`~outward.core.SecretUnavailable` for want of the proxy's credentials, or of the key of our certificate.
        """
        context = None
        if tls:
            context = self._tls_context(destination.ca, alpn, await identity_for(destination, choice.store))
        proxy = choice.of(destination, host)
        if proxy is None:
            sock, address = await self._connect(destination, host, choice)
            protocol = await _attach(sock, factory, context, host, _Peer(host, "`ca:` of the destination"))
            return Dialled(protocol, address)
        target = await self._check_beyond(proxy, destination, host, choice)
        login = await choice.login(proxy)
        sock, address = await self._connect_to_proxy(proxy)
        outer = self._tls_context(proxy.ca, HTTP1) if proxy.scheme == "https" else None
        peer = _Peer(f"the proxy {proxy}", "`proxy: {url, ca}`")
        if forwardable and proxy.scheme in {"http", "https"}:
            return Dialled(await _attach(sock, factory, outer, proxy.host, peer), address, Forwarding(proxy, login))
        talk = await _attach(sock, Negotiation, outer, proxy.host, peer)
        try:
            await ask_for_tunnel(talk, proxy, target, destination.port, login)
            return Dialled(await _take_over(talk, factory, context, host), address)
        except BaseException:
            talk.transport.abort()
            raise

    def _tls_context(self, ca: str | None, alpn: tuple[str, ...], identity: Identity | None = None) -> ssl.SSLContext:
        """Shared by all connections with the same roots that show the same certificate: to make one takes 20 ms.

        Raises :class:`~outward.core.SecretUnavailable` for a key that is not the certificate's.
        """
        place = ca, alpn, None if identity is None else identity.certificate
        known = self._contexts.get(place)
        if known is None or known.identity != identity:  # the key may have been renewed
            known = self._contexts[place] = _Context(identity, _context(ca, alpn, identity))
        return known.context

    async def _connect(self, destination: Destination, host: str, choice: ProxyChoice) -> tuple[socket.socket, str]:
        """A connected socket to the first address of the destination that is allowed and answers."""
        target, port = destination.connect_to or (host, destination.port)
        # `connect_to` is the person's own choice of an address, so it may be private; it is still never ourselves.
        private = destination.connect_to is not None or destination.allow_private
        proxies = await proxies_at(target, port, choice)
        return await self._dial(
            target, port, lambda address: self._guard.objection(address, port, proxies, private=private)
        )

    async def _connect_to_proxy(self, proxy: Proxy) -> tuple[socket.socket, str]:
        """The same for a proxy, which is the person's own choice, too."""
        try:
            return await self._dial(
                proxy.host,
                proxy.port,
                lambda address: self._guard.objection(address, proxy.port, {}, private=True),
            )
        except DialError as error:
            raise DialError(error.code, f"the proxy {proxy}: {error.message}", hint=error.hint) from error

    async def _check_beyond(self, proxy: Proxy, destination: Destination, host: str, choice: ProxyChoice) -> str:
        """What the proxy is to be asked for: ``host``, or its checked address where that is ours to find out.

        A name that has an address here which would not be dialled is refused, whatever the proxy makes of it. One that has
        none here is the proxy's to resolve: many companies know the world's names there alone.
        """
        port = destination.port
        proxies = await proxies_at(host, port, choice)
        if is_address(host):
            addresses = [host]
        elif proxy.scheme == "socks5":
            addresses = [address for _, address in await resolve(host, port)]
        else:
            addresses = [*await self._glance.addresses(host, port)]
        for address in addresses:
            error = self._guard.objection(address, port, proxies, private=destination.allow_private)
            if error is not None:
                raise error
        return addresses[0] if proxy.scheme == "socks5" else host

    async def _dial(
        self, host: str, port: int, objection: Callable[[str], DialError | None]
    ) -> tuple[socket.socket, str]:
        refused, failed = None, ""
        for family, address in await resolve(host, port):
            error = objection(address)
            if error is not None:
                refused = error
                continue
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.wait_for(self.outgoing.connect(sock, (address, port)), CONNECT_TIMEOUT)
            except TimeoutError:
                failed = f"{address}:{port} did not answer"
                sock.close()
            except OSError as failure:
                failed = f"{address}:{port}: {_reason(failure)}"
                sock.close()
            except asyncio.CancelledError:
                sock.close()
                raise
            else:
                return sock, address
        if refused is None:
            raise DialError(Code.UPSTREAM_UNREACHABLE, failed)
        if failed:  # which may pass: another time there is an answer
            raise DialError(Code.UPSTREAM_UNREACHABLE, f"{failed}; {refused.message}", hint=refused.hint)
        raise refused


class _Context(NamedTuple):
    identity: Identity | None
    context: ssl.SSLContext


def _context(ca: str | None, alpn: tuple[str, ...], identity: Identity | None) -> ssl.SSLContext:
    """System roots, plus the destination's or the proxy's own (PEM text) if it names one."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        context.load_verify_locations(cadata=ca)
    context.set_alpn_protocols(alpn)
    if identity is not None:
        identity.present(context)
    return context


class _Peer(NamedTuple):
    """Whom TLS is spoken with, for errors, and where the policy would name an authority for it."""

    name: str
    ca: str


async def _attach(
    sock: socket.socket, factory: Callable[[], P], context: ssl.SSLContext | None, host: str, peer: _Peer
) -> P:
    """The protocol over a connected socket, and over TLS with ``host`` if there is a context."""
    with _tls_errors(peer):
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(
                factory,
                sock=sock,
                ssl=context,
                server_hostname=host if context is not None else None,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if context is not None else None,
            )
        except OSError:
            sock.close()
            raise
    return protocol


async def _take_over(talk: Negotiation, factory: Callable[[], P], context: ssl.SSLContext | None, host: str) -> P:
    """The protocol over an open tunnel, and over TLS inside it if there is a context."""
    protocol = factory()
    if context is None:
        talk.hand_over(talk.transport, protocol)
        return protocol
    # Some servers speak as soon as TLS is up, before we know of it: what they say is kept for the protocol.
    early = Negotiation()
    with _tls_errors(_Peer(host, "`ca:` of the destination")):
        transport = await asyncio.get_running_loop().start_tls(
            talk.transport, early, context, server_hostname=host, ssl_handshake_timeout=HANDSHAKE_TIMEOUT
        )
    if transport is None or transport.is_closing():
        # The loop takes a connection that ends without an error for the end of the handshake.
        raise DialError(Code.UPSTREAM_TLS, f"TLS with {host} failed: the connection was closed")
    early.hand_over(transport, protocol)
    return protocol


@contextmanager
def _tls_errors(peer: _Peer) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise DialError(
            Code.UPSTREAM_TLS,
            f"the certificate of {peer.name} is not valid: {error.verify_message}",
            hint=f"A private authority is named in the policy with {peer.ca}. Verification cannot be turned off.",
        ) from error
    except OSError as error:
        # The alert has no name in all versions of the ssl module, but it always has its text.
        if isinstance(error, ssl.SSLError) and "no application protocol" in str(error).lower().replace("_", " "):
            raise NoCommonProtocol(peer.name) from error
        raise DialError(Code.UPSTREAM_TLS, f"TLS with {peer.name} failed: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "protocol error").replace("_", " ").lower()
    return os.strerror(error.errno) if error.errno else type(error).__name__
