"""SOCKS5: CONNECT and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from outward.core import ClientError, Code, Request
from outward.gateway.fronts import socks5
from outward.gateway.fronts.identity import Identity
from outward.gateway.fronts.opening import Opening
from outward.gateway.fronts.socks5 import Command, Reply
from outward.gateway.listeners import discard, take
from outward.gateway.record import Record

if TYPE_CHECKING:
    import socket

    from outward.gateway.denial import Denial
    from outward.gateway.fronts.socks5 import Steps, T
    from outward.gateway.gateway import Gateway

_REPLIES: Final = {
    # What the client is told for each code. What is not listed is "not allowed by the ruleset".
    Code.MALFORMED_REQUEST: Reply.FAILURE,
    Code.JOURNAL_UNAVAILABLE: Reply.FAILURE,
    Code.SECRET_UNAVAILABLE: Reply.FAILURE,
    Code.UPSTREAM_UNREACHABLE: Reply.HOST_UNREACHABLE,
    Code.UPSTREAM_TIMEOUT: Reply.HOST_UNREACHABLE,
}


class SocksFront:
    """A SOCKS5 server (RFC 1928). The host that is asked for goes the way of CONNECT's.

    With ``login`` clients must give an agent's name and its secret's value (RFC 1929); without, they must not want to.
    """

    def __init__(self, agent: str, *, login: bool = False) -> None:
        self._identity: Final = Identity(agent, login=login)
        self.authenticates: Final = login

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        replies = _Replies(sock)
        agent = await self._greet(gateway, replies)
        if agent is None:
            return
        host, port = "", 0
        try:
            asked = await replies.read(socks5.request())
            if asked.command != Command.CONNECT:
                await replies.fail(gateway, agent, f"the command {_shown(asked)} is not supported", _UNSUPPORTED)
                return
            host, port = asked.target()
        except socks5.AddressTypeError as error:
            await replies.fail(gateway, agent, error.message, socks5.reply(Reply.ADDRESS_TYPE_NOT_SUPPORTED))
            return
        except ClientError as error:
            await replies.fail(gateway, agent, error.message, socks5.reply(Reply.FAILURE))
            return
        await Opening(gateway, sock, agent, host, port, replies).run()

    async def _greet(self, gateway: Gateway, replies: _Replies) -> str | None:
        """Agrees on a method and identifies the client; ``None`` if that failed and the client has been told so."""
        method = socks5.USERNAME_PASSWORD if self._identity.login else socks5.NO_AUTHENTICATION
        try:
            offered = await replies.read(socks5.methods())
        except ClientError as error:
            await replies.fail(gateway, "", error.message, _NO_METHOD)
            return None
        if method not in offered:
            detail = "the client offers no user name" if self._identity.login else "nobody logs in to this listener"
            await replies.fail(gateway, "", detail, _NO_METHOD, Code.PROXY_AUTHENTICATION_REQUIRED)
            return None
        await replies.send(socks5.chosen(method))
        if not self._identity.login:
            return self._identity.agent
        try:
            given = await replies.read(socks5.login())
        except ClientError as error:
            await replies.fail(gateway, "", error.message, _LOGIN_FAILED)
            return None
        agent = await self._identity.check(gateway, given.name.decode("latin-1"), given.password)
        if agent is None:
            detail = "the name or the token is wrong"
            await replies.fail(gateway, "", detail, _LOGIN_FAILED, Code.PROXY_AUTHENTICATION_REQUIRED)
            return None
        await replies.send(socks5.logged_in(success=True))
        return agent


_NO_METHOD: Final = socks5.chosen(socks5.NO_ACCEPTABLE_METHOD)
_LOGIN_FAILED: Final = socks5.logged_in(success=False)
_UNSUPPORTED: Final = socks5.reply(Reply.COMMAND_NOT_SUPPORTED)


def _shown(asked: socks5.Asked) -> str:
    known = asked.command in {*Command}
    return f"{Command(asked.command).name} to {asked.host!r}" if known else f"{asked.command:#04x}"


class _Replies:
    """One client. SOCKS has no second try: whoever is refused is hung up on (RFC 1928 §6)."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock: Final = sock

    async def read(self, parser: Steps[T]) -> T:
        """A message, and not one octet more: what follows may be the client's TLS already."""
        wanted = next(parser)
        while True:
            try:
                wanted = parser.send(await take(self._sock, wanted))
            except StopIteration as end:
                message: T = end.value
                return message

    async def send(self, data: bytes) -> None:
        """Sends to the client."""
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def accept(self) -> None:
        """See :class:`~outward.gateway.fronts.opening.Replies`."""
        await self.send(socks5.reply(Reply.SUCCEEDED))

    async def refuse(self, denial: Denial) -> None:
        """See :class:`~outward.gateway.fronts.opening.Replies`."""
        await self._send_last(socks5.reply(_REPLIES.get(denial.code, Reply.NOT_ALLOWED)))

    async def fail(
        self, gateway: Gateway, agent: str, detail: str, answer: bytes, code: Code = Code.MALFORMED_REQUEST
    ) -> None:
        """Records why there was not even a host to decide about, and says ``answer``."""
        Record(gateway, "connect").end(Request(agent, "CONNECT", "https", "", 0, "", ""), None, code=code, error=detail)
        await self._send_last(answer)

    async def _send_last(self, data: bytes) -> None:
        await self.send(data)
        discard(self._sock)
        self._sock.close()
