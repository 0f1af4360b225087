"""What is this machine's, and this process's, own."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from ipaddress import ip_address
from typing import Final
from weakref import WeakValueDictionary

from outward.gateway.address import plain


def is_local(address: str) -> bool:
    """Whether this machine itself answers to ``address``: binding to it works for own addresses only."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class Outgoing:
    """The connections that we dial, by their end here.

    A packet filter that leaves the gateway out of what it redirects is right; one that does not would bring the gateway's own
    connections to it, each of which leads to the next until there are no descriptors left.
    """

    def __init__(self) -> None:
        self._ends: Final[WeakValueDictionary[tuple[str, int], socket.socket]] = WeakValueDictionary()

    async def connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """Connects to a numeric address. Raises :class:`OSError`.

        Not the loop's own: between its beginning and its end there are turns of the loop, in which the other end might be
        accepted here before anybody knew this one.
        """
        failed = sock.connect_ex(address)
        if failed in {0, errno.EINPROGRESS}:
            self._ends[_end(sock.getsockname())] = sock
        if failed == errno.EINPROGRESS:
            await _writable(sock)
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))

    def reaches(self, accepted: socket.socket) -> bool:
        """Whether the other end of an accepted connection is one of these."""
        dialled = self._ends.get(_end(accepted.getpeername()))
        return dialled is not None and dialled.fileno() >= 0


def _end(name: tuple[str, int]) -> tuple[str, int]:
    return plain(ip_address(name[0])), name[1]


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(sock, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
