"""Transparent: connections that the packet filter brings here, of clients that know nothing of a gateway."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from outward.core import Action, ClientError, Code, Verdict
from outward.core.canonical import is_address
from outward.gateway.client_hello import MAX_CLIENT_HELLO, parse_client_hello
from outward.gateway.dns.addresses import is_pooled
from outward.gateway.fronts.handover import speak_http, speak_https
from outward.gateway.fronts.opening import Opening, Seen, passes
from outward.gateway.fronts.original import original_destination
from outward.gateway.fronts.speech import Speech, recognise
from outward.gateway.http1 import MAX_HEAD
from outward.gateway.listeners import discard, peek
from outward.gateway.local import is_local
from outward.gateway.routes import CapturedRoute, HiddenRoute, TunnelRoute

if TYPE_CHECKING:
    import socket

    from outward.gateway.client_hello import ClientHello
    from outward.gateway.denial import Denial
    from outward.gateway.dns import Addresses
    from outward.gateway.fronts.original import Destination
    from outward.gateway.gateway import Gateway

_HTTP: Final = frozenset({b"h2", b"http/1.1", b"http/1.0"})
"""What ALPN calls what we speak; a client that offers other protocols only does not speak HTTP."""

_HIDDEN: Final = "the name inside may be another one (Encrypted ClientHello); turn that off in the client"

_ALERTS: Final = {
    # TLS's own words for a refusal (RFC 8446 §6.2). What is not listed is access_denied.
    Code.MALFORMED_REQUEST: 47,  # illegal_parameter
    Code.UPSTREAM_UNREACHABLE: 80,  # internal_error
    Code.JOURNAL_UNAVAILABLE: 80,
    Code.SECRET_UNAVAILABLE: 80,
}
_ACCESS_DENIED: Final = 49


class TransparentFront:
    """What a client says first tells the host: SNI, or Host of plain HTTP; all else is judged by the address it dialled.

    The name decides, and the name is resolved by us: the client's own idea of its address is not where anything goes.

    In a cage addresses that we have given stand for names (:class:`~outward.gateway.dns.Addresses`), so there is a name
    whatever is said.
    """

    def __init__(self, agent: str, addresses: Addresses | None = None) -> None:
        """``addresses`` are those of the cage in which the listener is."""
        self._agent: Final = agent
        self._addresses: Final = addresses
        self.authenticates: Final = False

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        meant = original_destination(sock)
        name = None
        if self._addresses is None:
            objection = _objection(gateway, sock, meant)
        else:
            name = self._addresses.name_at(meant.host)
            objection = _objection_in_cage(meant, name)
        captured = _Captured(gateway, sock, self._agent, name or meant.host, meant.port, named=name is not None)
        await captured.run(objection)


class _Captured:
    """One connection, and where it was meant to go: an address, or the name that it stands for (``named``)."""

    def __init__(self, gateway: Gateway, sock: socket.socket, agent: str, host: str, port: int, *, named: bool) -> None:
        self._gateway: Final = gateway
        self._sock: Final = sock
        self._agent: Final = agent
        self._host: Final = host
        self._port: Final = port
        self._named: Final = named
        self._replies: Final = _Replies(sock)
        self._meant: Final = self._opening(host)

    def _opening(self, host: str) -> Opening:
        return Opening(self._gateway, self._sock, self._agent, host, self._port, self._replies)

    async def run(self, objection: str | None) -> None:
        """Steps 1 to 3: decides by what was dialled where that is enough, else by what the client says.

        ``objection`` is why nothing comes of it, whatever the policy says.
        """
        verdict = self._decide(self._host)
        if not passes(verdict):
            self._replies.speech = await self._listen(verdict)
        elif objection is None:
            # Before anything is looked at: where the server speaks first, the client waits for it.
            await self._meant.pass_through(verdict, Seen.BEGINNING if self._named else Seen.NOTHING)
            return
        if objection is not None:
            await self._meant.refuse(Code.ADDRESS_NOT_ALLOWED, objection)
        elif self._replies.speech is Speech.TLS:
            await self._tls()
        elif self._replies.speech is Speech.HTTP:
            await speak_http(self._gateway, self._sock, CapturedRoute(self._host, self._port), self._agent)
        else:
            await self._meant.refuse(*_neither(verdict, "neither TLS nor HTTP"), verdict)

    async def _listen(self, verdict: Verdict) -> Speech:
        """What the client says. One that waits for the server to speak is refused by its address when its time is up."""
        try:
            return await peek(self._sock, recognise, MAX_HEAD)
        except ClientError:
            return Speech.OTHER
        except asyncio.CancelledError:
            if not self._gateway.draining:
                self._meant.record(*_neither(verdict, "the client said nothing in time"), verdict)
            raise

    async def _tls(self) -> None:
        try:
            hello = await peek(self._sock, parse_client_hello, MAX_CLIENT_HELLO)
        except ClientError as error:
            await self._meant.refuse(Code.MALFORMED_REQUEST, error.message)
            return
        # An address is no server name (RFC 6066 §3): it decides nothing, and has to be the one that was dialled.
        host = hello.sni if hello.sni is not None and not is_address(hello.sni) else self._host
        opening, verdict = self._opening(host), self._decide(host)
        if await opening.leaks():
            return
        if hello.encrypted:
            await self._intercept(opening, host, hello, Verdict(Action.DENY, verdict.rule, Code.HOST_MISMATCH))
        elif passes(verdict):
            await opening.pass_through(verdict)
        elif hello.alpn and _HTTP.isdisjoint(hello.alpn):
            await opening.refuse(*_neither(verdict, "TLS with a protocol that is not HTTP"), verdict)
        else:
            await self._intercept(opening, host, hello, verdict)

    async def _intercept(self, opening: Opening, host: str, hello: ClientHello, verdict: Verdict) -> None:
        """Also where the host is not allowed: inside, a client gets to read why."""
        port = self._port
        hidden = HiddenRoute(host, port, _HIDDEN) if hello.encrypted else None
        route = hidden or TunnelRoute("https", host, port, hello.sni)
        await speak_https(self._gateway, self._sock, route, hello.sni or host, opening.asked, verdict)

    def _decide(self, host: str) -> Verdict:
        return self._gateway.ruleset.policy.decide_host(self._agent, host, self._port)


def _objection(gateway: Gateway, sock: socket.socket, meant: Destination) -> str | None:
    """Why this is no connection of a client's to somebody else."""
    if gateway.dialler.outgoing.reaches(sock):
        return "the gateway's own connection was brought back to it: it must be left out of what is redirected"
    if not meant.translated and is_local(meant.host):
        return f"{meant.host}:{meant.port} is this gateway itself: nothing was redirected"
    return None


def _objection_in_cage(meant: Destination, name: str | None) -> str | None:
    """The same where the gateway is not in the network that the connection comes from: what it dials never comes back."""
    if ip_address(meant.host).is_loopback:
        return f"{meant.host}:{meant.port} is the sandbox itself: nothing was redirected"
    if name is None and is_pooled(meant.host):
        return f"{meant.host} stands for no name, or for none any more: it has to be resolved again"
    return None


def _neither(verdict: Verdict, detail: str) -> tuple[Code, str]:
    """What is said of a connection that is not HTTP: the policy does not allow its host, or does, and for HTTP only."""
    return verdict.code or Code.MALFORMED_REQUEST, detail


class _Replies:
    """A client that asked for nothing can be told nothing but in the protocol that it speaks, if we know it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock: Final = sock
        self.speech = Speech.OTHER

    async def accept(self) -> None:
        """For the client the connection has been open all along."""

    async def refuse(self, denial: Denial) -> None:
        """See :class:`~outward.gateway.fronts.opening.Replies`."""
        send = asyncio.get_running_loop().sock_sendall
        if self.speech is Speech.TLS:
            await send(self._sock, _alert(_ALERTS.get(denial.code, _ACCESS_DENIED)))
        elif self.speech is Speech.HTTP:
            await send(self._sock, denial.response(close=True))
        discard(self._sock)
        self._sock.close()


def _alert(description: int) -> bytes:
    """A fatal alert before there are keys (RFC 8446 §6, §5.1)."""
    return bytes((21, 3, 3, 0, 2, 2, description))
