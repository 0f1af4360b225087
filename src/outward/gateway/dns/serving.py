"""Questions over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from outward.core import ClientError
from outward.gateway.dns.message import MAX_DATAGRAM
from outward.gateway.listeners import take

if TYPE_CHECKING:
    import socket

    from outward.gateway.dns.resolver import Resolver
    from outward.gateway.gateway import Gateway

_AT_ONCE: Final = 64
"""Datagrams that are taken up in one turn of the loop; others wait for theirs."""


class Questions:
    """Answers what comes to a datagram socket, from now on."""

    def __init__(self, gateway: Gateway, sock: socket.socket, resolver: Resolver) -> None:
        sock.setblocking(False)
        self._gateway: Final = gateway
        self._sock: Final = sock
        self._resolver: Final = resolver
        self._loop: Final = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)

    def _readable(self) -> None:
        answers = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                data, asker = self._sock.recvfrom(MAX_DATAGRAM)
                answers.append((self._resolver.answer(self._gateway, data), asker))
        if not self._gateway.turn.commit():
            return  # as where there is no record at all: who gets no answer asks again
        for answer, asker in answers:
            if answer:
                with contextlib.suppress(OSError):  # gone, or too slow to read: it will ask again
                    self._sock.sendto(answer, asker)

    def close(self) -> None:
        """Answers nothing more."""
        self._loop.remove_reader(self._sock)
        self._sock.close()

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""


class DnsFront:
    """The same over TCP: each message behind its length in two octets (RFC 1035 §4.2.2), until the client has gone or its
    time is up.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver: Final = resolver
        self.authenticates: Final = False

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        loop = asyncio.get_running_loop()
        while True:
            length = int.from_bytes(await take(sock, 2), "big")
            answer = self._resolver.answer(gateway, await take(sock, length))
            if not gateway.turn.commit() or not answer:
                raise ClientError("a message that has no answer")
            await loop.sock_sendall(sock, len(answer).to_bytes(2, "big") + answer)
