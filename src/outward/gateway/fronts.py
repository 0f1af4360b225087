"""The fronts: explicit proxy and reverse (docs/architecture.md, steps 1 to 3)."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from typing import TYPE_CHECKING, Final

from outward.core import (
    ClientError,
    Code,
    JournalUnavailable,
    OutwardError,
    Request,
    SecretUnavailable,
    canonical_authority,
)
from outward.core.canonical import is_address
from outward.credentials.forms.placeholder import decode_basic
from outward.gateway.client import ClientConnection
from outward.gateway.client_hello import HANDSHAKE, MAX_CLIENT_HELLO, parse_client_hello
from outward.gateway.denial import Denial
from outward.gateway.dial import DialError
from outward.gateway.http1 import MAX_HEAD, RequestHead, parse_request, split_head
from outward.gateway.listeners import discard, peek, take
from outward.gateway.record import Record
from outward.gateway.routes import ProxyRoute, ReverseRoute, Route, TunnelRoute
from outward.gateway.tunnel import Tunnel

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from outward.core import Verdict
    from outward.gateway.gateway import Gateway
    from outward.policy import AgentSpec

HANDSHAKE_TIMEOUT: Final = 20.0
"""Seconds for TLS with the client."""

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection Established\r\n\r\n"


async def _attach(gateway: Gateway, sock: socket.socket, route: Route, agent: str) -> None:
    """Plain HTTP from here on."""
    await asyncio.get_running_loop().connect_accepted_socket(lambda: ClientConnection(gateway, route, agent), sock)


class ReverseFront:
    """A listener that stands for one server; clients speak plain HTTP to it."""

    def __init__(self, route: ReverseRoute, agent: str) -> None:
        self._route: Final = route
        self._agent: Final = agent
        self.authenticates: Final = False

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        await _attach(gateway, sock, self._route, self._agent)


class ProxyFront:
    """An explicit proxy (RFC 9110 §7.3.2): CONNECT, and absolute-form for plain HTTP.

    The agent's identity is that of the listener, or, where ``agents`` are given, of the Basic proxy credentials: the
    agent's name and its secret's value.
    """

    def __init__(self, agent: str, agents: Mapping[str, AgentSpec] | None = None) -> None:
        self._agent: Final = agent
        self._agents: Final = agents or {}
        self.authenticates: Final = bool(self._agents)

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        while True:
            try:
                head, size = await peek(sock, _complete_head, MAX_HEAD)
            except ClientError as error:
                await self._refuse(gateway, sock, Denial(Code.MALFORMED_REQUEST, detail=error.message), close=True)
                return
            agent = await self._identify(gateway, head)
            if head.method == "CONNECT":
                await take(sock, size)
                if agent is None:
                    await self._refuse(gateway, sock, _unauthenticated(head))
                elif await _Connect(gateway, sock, agent).run(head):
                    return
            elif agent is None:
                await self._refuse(gateway, sock, _unauthenticated(head), close=True)
                return
            else:
                await _attach(gateway, sock, ProxyRoute(), agent)
                return

    async def _identify(self, gateway: Gateway, head: RequestHead) -> str | None:
        if not self._agents:
            return self._agent
        given = [value for key, _, value in head.fields if key == "proxy-authorization"]
        pair = decode_basic(given[0]) if len(given) == 1 else None
        name, _, password = (pair or "").partition(":")
        spec = self._agents.get(name)
        if spec is None:
            return None
        try:
            token = await gateway.ruleset.store.get(spec.secret)
        except SecretUnavailable:
            return None
        return name if hmac.compare_digest(token.reveal(), password.encode("latin-1")) else None

    async def _refuse(self, gateway: Gateway, sock: socket.socket, denial: Denial, *, close: bool = False) -> None:
        asked = Request("", denial.method or "CONNECT", "https", "", 0, "", "")
        Record(gateway, "connect").end(asked, None, code=denial.code, error=denial.detail or None)
        await asyncio.get_running_loop().sock_sendall(sock, denial.response(close=close))
        if close:
            discard(sock)
            sock.close()


def _complete_head(data: bytes) -> tuple[RequestHead, int] | None:
    size = split_head(data)
    return (parse_request(data[:size]), size) if size else None


def _unauthenticated(head: RequestHead) -> Denial:
    return Denial(
        Code.PROXY_AUTHENTICATION_REQUIRED,
        method=head.method,
        host=head.target,
        hint="Put the agent's name and token into the proxy URL: http://NAME:TOKEN@HOST:PORT",
    )


class _Connect:
    """One CONNECT request."""

    def __init__(self, gateway: Gateway, sock: socket.socket, agent: str) -> None:
        self._gateway: Final = gateway
        self._sock: Final = sock
        self._agent: Final = agent
        self._host = ""
        self._port = 0

    async def run(self, head: RequestHead) -> bool:
        """Whether the connection has been handed over; if not, the client may ask again on it."""
        try:
            self._host, self._port = canonical_authority(head.target, None)
            named = canonical_authority(head.host, self._port) if head.host else (self._host, self._port)
        except ClientError as error:
            await self._refuse(Code.MALFORMED_REQUEST, error.message)
            return False
        if named != (self._host, self._port):
            await self._refuse(Code.HOST_MISMATCH, f"the host field says {named[0]}:{named[1]}")
            return False
        # Step 2: the host is decided about before any TLS.
        policy = self._gateway.ruleset.policy
        verdict = policy.decide_host(self._agent, self._host, self._port)
        if not verdict.allowed:
            plain = policy.decide_host(self._agent, self._host, self._port, "http")
            if not plain.allowed:
                await self._refuse(verdict.code or Code.HOST_NOT_ALLOWED, "", verdict)
                return False
            verdict = plain
        if verdict.destination is not None and verdict.destination.tls == "passthrough":
            return await self._pass_through(verdict)
        await self._send(_ESTABLISHED)
        await self._intercept(verdict)
        return True

    async def _intercept(self, verdict: Verdict) -> None:
        """Step 3: TLS with a certificate of ours, or plain HTTP if the client does not begin with TLS."""
        first = await peek(self._sock, lambda data: data[0], 1)
        if first != HANDSHAKE:
            await _attach(self._gateway, self._sock, TunnelRoute("http", self._host, self._port), self._agent)
            return
        hello = await peek(self._sock, parse_client_hello, MAX_CLIENT_HELLO)
        route = TunnelRoute("https", self._host, self._port, hello.sni)
        # A client that names another host gets a certificate for that name, so that it can read the 421.
        context = self._gateway.authority.server_context(hello.sni or self._host)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: ClientConnection(self._gateway, route, self._agent),
                self._sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except (ssl.SSLError, ConnectionError) as error:
            reason = (error.reason or "").replace("_", " ").lower() if isinstance(error, ssl.SSLError) else "closed"
            reason = f"the client did not complete TLS with us: {reason}"
            Record(self._gateway, "connect").end(self._request(), verdict, error=reason)
            raise

    async def _pass_through(self, verdict: Verdict) -> bool:
        """Host and SNI are checked, the rest is not ours to see."""
        gateway = self._gateway
        destination = verdict.destination
        assert destination is not None
        tunnel = Tunnel(gateway, self._request(), verdict)
        try:
            tunnel.start()
            _, address = await gateway.dialler.open(destination, self._host, lambda: tunnel.server, tls=False)
        except DialError as error:
            tunnel.refuse(error.code, error.message)
            await self._send(self._denial(error.code, error.message, verdict.rule).response())
            return False
        except JournalUnavailable as error:
            await self._refuse(Code.JOURNAL_UNAVAILABLE, error.message)
            return False
        tunnel.server.transport.pause_reading()
        try:
            await self._send(_ESTABLISHED)
            hello = await peek(self._sock, parse_client_hello, MAX_CLIENT_HELLO)
            if hello.sni != self._host and not (hello.sni is None and is_address(self._host)):
                raise ClientError(f"TLS names {hello.sni}, the connection was opened to {self._host}")
            await asyncio.get_running_loop().connect_accepted_socket(lambda: tunnel.client, self._sock)
        except (OutwardError, OSError, TimeoutError, asyncio.CancelledError) as error:
            tunnel.refuse(Code.HOST_MISMATCH, str(error) or "the client said no hello in time")
            raise
        tunnel.join(address)
        return True

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _refuse(self, code: Code, detail: str, verdict: Verdict | None = None) -> None:
        Record(self._gateway, "connect").end(self._request(), verdict, code=code, error=detail or None)
        await self._send(self._denial(code, detail, verdict.rule if verdict is not None else "").response())

    def _denial(self, code: Code, detail: str, rule: str) -> Denial:
        return Denial(code, method="CONNECT", host=self._host, port=self._port, rule=rule, detail=detail)

    def _request(self) -> Request:
        """What the journal says was asked for."""
        return Request(self._agent, "CONNECT", "https", self._host, self._port, "", "")
