"""The explicit proxy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from outward.core import ClientError, Code, Request, canonical_authority
from outward.credentials.forms.placeholder import decode_basic
from outward.gateway.denial import Denial
from outward.gateway.fronts.handover import speak_http
from outward.gateway.fronts.identity import Identity
from outward.gateway.fronts.opening import Opening
from outward.gateway.http1 import MAX_HEAD, RequestHead, parse_request, split_head
from outward.gateway.listeners import discard, peek, take
from outward.gateway.record import Record
from outward.gateway.routes import ProxyRoute

if TYPE_CHECKING:
    import socket

    from outward.gateway.gateway import Gateway

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection Established\r\n\r\n"


class ProxyFront:
    """An explicit proxy (RFC 9110 §7.3.2): CONNECT, and absolute-form for plain HTTP.

    With ``login`` clients must give an agent's name and its secret's value as Basic proxy credentials.
    """

    def __init__(self, agent: str, *, login: bool = False) -> None:
        self._identity: Final = Identity(agent, login=login)
        self.authenticates: Final = login

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        while True:
            seen = await _look(sock)
            if isinstance(seen, Denial):
                await self._refuse(gateway, sock, seen, close=True)
                return
            head, size = seen
            agent = await self._identify(gateway, head)
            if head.method == "CONNECT":
                await take(sock, size)
                if agent is None:
                    await self._refuse(gateway, sock, _unauthenticated(head))
                elif await _connect(gateway, sock, agent, head):
                    return
            elif agent is None:
                await self._refuse(gateway, sock, _unauthenticated(head), close=True)
                return
            else:
                await speak_http(gateway, sock, ProxyRoute(), agent)
                return

    async def _identify(self, gateway: Gateway, head: RequestHead) -> str | None:
        if not self._identity.login:
            return self._identity.agent
        given = [value for key, _, value in head.fields if key == "proxy-authorization"]
        pair = decode_basic(given[0]) if len(given) == 1 else None
        name, _, token = (pair or "").partition(":")
        return await self._identity.check(gateway, name, token.encode("latin-1"))

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


async def _look(sock: socket.socket) -> tuple[RequestHead, int] | Denial:
    """The head that a client has sent, and its size; or what to say of it."""
    try:
        return await peek(sock, _complete_head, MAX_HEAD)
    except ClientError as error:
        return Denial(Code.MALFORMED_REQUEST, detail=error.message)


def _unauthenticated(head: RequestHead) -> Denial:
    return Denial(
        Code.PROXY_AUTHENTICATION_REQUIRED,
        method=head.method,
        host=head.target,
        hint="Put the agent's name and token into the proxy URL: http://NAME:TOKEN@HOST:PORT",
    )


class _Replies:
    """HTTP's answers to CONNECT. A client that was refused may ask again on the same connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock: Final = sock

    async def accept(self) -> None:
        """See :class:`~outward.gateway.fronts.opening.Replies`."""
        await asyncio.get_running_loop().sock_sendall(self._sock, _ESTABLISHED)

    async def refuse(self, denial: Denial) -> None:
        """See :class:`~outward.gateway.fronts.opening.Replies`."""
        await asyncio.get_running_loop().sock_sendall(self._sock, denial.response())


async def _connect(gateway: Gateway, sock: socket.socket, agent: str, head: RequestHead) -> bool:
    """One CONNECT request: whether the connection has been handed over."""
    host, port, named, malformed = "", 0, ("", 0), ""
    try:
        host, port = canonical_authority(head.target, None)
        named = canonical_authority(head.host, port) if head.host else (host, port)
    except ClientError as error:
        malformed = error.message
    opening = Opening(gateway, sock, agent, host, port, _Replies(sock))
    if malformed:
        await opening.refuse(Code.MALFORMED_REQUEST, malformed)
        return False
    if named != (host, port):
        await opening.refuse(Code.HOST_MISMATCH, f"the host field says {named[0]}:{named[1]}")
        return False
    return await opening.run()
