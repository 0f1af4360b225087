"""Transparent: connections that the packet filter brings here, of clients that know nothing of a gateway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from outward.core import Action, ClientError, Code, Verdict
from outward.core.canonical import is_address
from outward.gateway.client_hello import MAX_CLIENT_HELLO, parse_client_hello
from outward.gateway.fronts.handover import speak_http, speak_https
from outward.gateway.fronts.opening import Opening, passes
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
    """

    def __init__(self, agent: str) -> None:
        self._agent: Final = agent
        self.authenticates: Final = False

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        await _Captured(gateway, sock, self._agent, original_destination(sock)).run()


class _Captured:
    """One connection, and where it was meant to go."""

    def __init__(self, gateway: Gateway, sock: socket.socket, agent: str, meant: Destination) -> None:
        self._gateway: Final = gateway
        self._sock: Final = sock
        self._agent: Final = agent
        self._meant: Final = meant
        self._replies: Final = _Replies(sock)
        self._by_address: Final = self._opening(meant.host)

    def _opening(self, host: str) -> Opening:
        return Opening(self._gateway, self._sock, self._agent, host, self._meant.port, self._replies)

    async def run(self) -> None:
        """Steps 1 to 3: decides by address where that is enough, else by what the client says."""
        meant, verdict, objection = self._meant, self._decide(self._meant.host), self._objection()
        if not passes(verdict):
            self._replies.speech = await self._listen(verdict)
        elif objection is None:
            # Before anything is looked at: where the server speaks first, the client waits for it.
            await self._by_address.pass_through(verdict, by_name=False)
            return
        if objection is not None:
            await self._by_address.refuse(Code.ADDRESS_NOT_ALLOWED, objection)
        elif self._replies.speech is Speech.TLS:
            await self._tls()
        elif self._replies.speech is Speech.HTTP:
            await speak_http(self._gateway, self._sock, CapturedRoute(meant.host, meant.port), self._agent)
        else:
            await self._by_address.refuse(*_neither(verdict, "neither TLS nor HTTP"), verdict)

    def _objection(self) -> str | None:
        """Why this is no connection of a client's to somebody else."""
        meant = self._meant
        if self._gateway.dialler.outgoing.reaches(self._sock):
            return "the gateway's own connection was brought back to it: it must be left out of what is redirected"
        if not meant.translated and is_local(meant.host):
            return f"{meant.host}:{meant.port} is this gateway itself: nothing was redirected"
        return None

    async def _listen(self, verdict: Verdict) -> Speech:
        """What the client says. One that waits for the server to speak is refused by its address when its time is up."""
        try:
            return await peek(self._sock, recognise, MAX_HEAD)
        except ClientError:
            return Speech.OTHER
        except asyncio.CancelledError:
            if not self._gateway.draining:
                self._by_address.record(*_neither(verdict, "the client said nothing in time"), verdict)
            raise

    async def _tls(self) -> None:
        try:
            hello = await peek(self._sock, parse_client_hello, MAX_CLIENT_HELLO)
        except ClientError as error:
            await self._by_address.refuse(Code.MALFORMED_REQUEST, error.message)
            return
        # An address is no server name (RFC 6066 §3): it decides nothing, and has to be the one that was dialled.
        host = hello.sni if hello.sni is not None and not is_address(hello.sni) else self._meant.host
        opening, verdict = self._opening(host), self._decide(host)
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
        port = self._meant.port
        hidden = HiddenRoute(host, port, _HIDDEN) if hello.encrypted else None
        route = hidden or TunnelRoute("https", host, port, hello.sni)
        await speak_https(self._gateway, self._sock, route, hello.sni or host, opening.asked, verdict)

    def _decide(self, host: str) -> Verdict:
        return self._gateway.ruleset.policy.decide_host(self._agent, host, self._meant.port)


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
