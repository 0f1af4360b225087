"""Opening a connection to a host that the client named: decided, then passed through or intercepted (steps 2 and 3)."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

from outward.core import ClientError, Code, JournalUnavailable, Request, SecretUnavailable
from outward.core.canonical import is_address
from outward.gateway.client_hello import HANDSHAKE, MAX_CLIENT_HELLO, ClientHello, parse_client_hello
from outward.gateway.denial import Denial, DialError, code_of
from outward.gateway.fronts.handover import speak_http, speak_https
from outward.gateway.fronts.speech import Speech, recognise
from outward.gateway.http1 import MAX_HEAD
from outward.gateway.listeners import peek
from outward.gateway.record import Record
from outward.gateway.routes import TunnelRoute
from outward.gateway.ruleset import Leaked
from outward.gateway.tunnel import Tunnel

if TYPE_CHECKING:
    import socket

    from outward.core import Verdict
    from outward.gateway.gateway import Gateway


class Seen(Enum):
    """What has to be seen of a client before a connection is passed through."""

    HELLO = auto()
    """Its ClientHello, which names the host."""
    BEGINNING = auto()
    """That it is the server that begins; or else what the client begins with: TLS names the host, HTTP is not passed through."""
    NOTHING = auto()
    """The destination is an address that the client has dialled itself."""


_NOT_TLS: Final = ClientHello(None, encrypted=False)


def _parse_opening(data: bytes) -> ClientHello | None:
    """The ClientHello, ``None`` while it is incomplete, or what stands for a client that does not begin with TLS."""
    return parse_client_hello(data) if data[0] == HANDSHAKE else _NOT_TLS


class Replies(Protocol):
    """How a front tells its client what has become of the connection that it asked for."""

    async def accept(self) -> None:
        """It is open: what comes next is for the host."""
        ...

    async def refuse(self, denial: Denial) -> None:
        """It is not."""
        ...


def passes(verdict: Verdict) -> bool:
    """Whether the connection is not to be intercepted."""
    return verdict.destination is not None and verdict.destination.tls == "passthrough"


class Opening:
    """One connection to ``host`` and ``port``, both canonical, for ``agent``."""

    def __init__(
        self, gateway: Gateway, sock: socket.socket, agent: str, host: str, port: int, replies: Replies
    ) -> None:
        self._gateway: Final = gateway
        self._sock: Final = sock
        self._replies: Final = replies
        self._host: Final = host
        self._port: Final = port
        self.asked: Final = Request(agent, "CONNECT", "https", host, port, "", "")
        """What the journal says was asked for."""

    async def run(self) -> bool:
        """Whether the connection has been handed over; if not, the client has been told why."""
        # Step 2: the host is decided about before any TLS.
        if await self.leaks():
            return False
        policy = self._gateway.ruleset.policy
        agent = self.asked.agent
        verdict = policy.decide_host(agent, self._host, self._port)
        if not verdict.allowed:
            plain = policy.decide_host(agent, self._host, self._port, "http")
            if not plain.allowed:
                await self.refuse(verdict.code or Code.HOST_NOT_ALLOWED, "", verdict)
                return False
            verdict = plain
        if passes(verdict):
            return await self.pass_through(verdict)
        await self._replies.accept()
        await self._intercept(verdict)
        return True

    async def _intercept(self, verdict: Verdict) -> None:
        """Step 3: TLS with a certificate of ours, or plain HTTP if the client does not begin with TLS."""
        hello = await peek(self._sock, _parse_opening, MAX_CLIENT_HELLO)
        if hello is _NOT_TLS:
            route = TunnelRoute("http", self._host, self._port)
            await speak_http(self._gateway, self._sock, route, self.asked.agent)
            return
        route = TunnelRoute("https", self._host, self._port, hello.sni)
        # A client that names another host gets a certificate for that name, so that it can read the 421.
        await speak_https(self._gateway, self._sock, route, hello.sni or self._host, self.asked, verdict)

    async def pass_through(self, verdict: Verdict, seen: Seen = Seen.HELLO) -> bool:
        """Dials and joins: whether it came to that; if not, the client has been told why.

        Host and SNI are checked, the rest is not ours to see.
        """
        gateway = self._gateway
        destination = verdict.destination
        assert destination is not None
        tunnel = Tunnel(gateway, self.asked, verdict)
        failed: DialError | SecretUnavailable | JournalUnavailable | None = None
        try:
            tunnel.start()
            choice = gateway.ruleset.proxies
            dialled = await gateway.dialler.open(destination, self._host, lambda: tunnel.server, choice, tls=False)
            address = dialled.address
        except (DialError, SecretUnavailable, JournalUnavailable) as error:
            address, failed = "", error
        except asyncio.CancelledError:
            tunnel.close("it was given up before the server was reached")
            raise
        if isinstance(failed, JournalUnavailable):
            await self.refuse(Code.JOURNAL_UNAVAILABLE, failed.message)
            return False
        if failed is not None:
            code = code_of(failed)
            tunnel.refuse(code, failed.message)
            await self._replies.refuse(self._denial(code, failed.message, verdict, failed.hint))
            return False
        if seen is not Seen.BEGINNING:
            tunnel.server.transport.pause_reading()
        try:
            await self._replies.accept()
            if seen is Seen.HELLO:
                self._check(await peek(self._sock, parse_client_hello, MAX_CLIENT_HELLO))
            elif seen is Seen.BEGINNING:
                await self._see_beginning(tunnel)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: tunnel.client, self._sock)
        except ClientError as error:
            tunnel.refuse(Code.HOST_MISMATCH, error.message)
            raise
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            tunnel.close(str(error) or "the client said no hello in time")
            raise
        tunnel.join(address)
        return True

    async def _see_beginning(self, tunnel: Tunnel) -> None:
        """Returns when it is known who begins, and what with. Raises ClientError for what may lead to another host."""
        client = asyncio.ensure_future(peek(self._sock, recognise, MAX_HEAD))
        server = asyncio.ensure_future(tunnel.server.begun.wait())
        try:
            await asyncio.wait({client, server}, return_when=asyncio.FIRST_COMPLETED)
            speech = client.result() if client.done() else Speech.OTHER
        finally:
            client.cancel()
            server.cancel()
            if not tunnel.server.transport.is_closing():
                tunnel.server.transport.pause_reading()  # what it says until the client is there is held
            await asyncio.gather(client, server, return_exceptions=True)  # only then the socket may be somebody else's
        if speech is Speech.TLS:
            self._check(await peek(self._sock, parse_client_hello, MAX_CLIENT_HELLO))
        elif speech is Speech.HTTP:
            raise ClientError("plain HTTP may name another host inside; a destination with `scheme: http` takes it")

    def _check(self, hello: ClientHello) -> None:
        """The SNI is all that is seen of a tunnel's inside, so nothing may make it a pretence. Raises ClientError."""
        if hello.sni != self._host and not (hello.sni is None and is_address(self._host)):
            raise ClientError(f"TLS names {hello.sni}, the connection was opened to {self._host}")
        if hello.encrypted:
            raise ClientError("TLS may name another host inside (Encrypted ClientHello)")

    async def refuse(self, code: Code, detail: str, verdict: Verdict | None = None) -> None:
        """Records the refusal and tells the client."""
        self.record(code, detail, verdict)
        await self._replies.refuse(self._denial(code, detail, verdict))

    async def leaks(self) -> bool:
        """Whether there is a placeholder in the host's name; then the client has been told so."""
        secret = self._gateway.ruleset.leaked(self._host)
        if secret is None:
            return False
        error = Leaked(secret)
        record = Record(self._gateway, "connect")
        record.secrets = (error.secret,)
        record.end(self.asked, None, code=error.code, error=error.message)
        await self._replies.refuse(self._denial(error.code, error.message, None))
        return True

    def record(self, code: Code, detail: str, verdict: Verdict | None = None) -> None:
        """For a client that there is no telling any more."""
        Record(self._gateway, "connect").end(self.asked, verdict, code=code, error=detail or None)

    def _denial(self, code: Code, detail: str, verdict: Verdict | None, hint: str = "") -> Denial:
        rule = verdict.rule if verdict is not None else ""
        return Denial(code, "CONNECT", host=self._host, port=self._port, rule=rule, detail=detail, hint=hint)
