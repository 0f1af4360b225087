"""Accepting: sockets, and what their clients speak before there is HTTP (docs/architecture.md, steps 1 to 3).

Until it is known what a connection is for, its octets are only looked at (``MSG_PEEK``) and not taken: a CONNECT head is
taken exactly to its end, a ClientHello is left for TLS to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from outward.core import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.gateway.gateway import Gateway

MAX_CONNECTIONS: Final = 8192
"""Accepted connections of a gateway and HTTP/2's streams on them, all listeners together; more are closed at once."""

GREETING_TIME: Final = 30.0
"""Seconds for a client to say what it wants, TLS handshake included."""

RETRY_ACCEPT: Final = 0.1
"""Seconds to wait when the process is out of descriptors."""

_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

T = TypeVar("T")


class Front(Protocol):
    """What is spoken on an accepted connection before there is HTTP."""

    @property
    def authenticates(self) -> bool:
        """Whether clients must say who they are."""
        ...

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """Takes the connection over. Raising closes it."""
        ...


class Listener:
    """Accepts on one socket; every connection gets a task until its front has handed it over."""

    def __init__(self, gateway: Gateway, sock: socket.socket, front: Front) -> None:
        sock.setblocking(False)
        self._gateway: Final = gateway
        self._sock: Final = sock
        self._front: Final = front
        self.greeting_time = GREETING_TIME
        self._loop: Final = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._loop.add_reader(sock, self._accept)

    def _accept(self) -> None:
        """Takes one connection, however many wait: of several processes on one socket, whoever is free takes the next."""
        try:
            sock, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            self._loop.remove_reader(self._sock)
            self._loop.call_later(RETRY_ACCEPT, self._resume)
            return
        if len(self._tasks) + self._gateway.load >= MAX_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._sock, self._accept)

    async def _serve(self, sock: socket.socket) -> None:
        try:
            async with asyncio.timeout(self.greeting_time):
                await self._front.serve(self._gateway, sock)
        except (ClientError, OSError, TimeoutError):
            # The client went away, or said nothing in time; a front answers everything else itself.
            sock.close()
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        """Stops accepting and ends the greetings in progress."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock)
            self._sock.close()
            for task in self._tasks:
                task.cancel()

    async def wait_closed(self) -> None:
        """Waits for the greetings to end."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


PEEK_PAUSE: Final = 0.005
MAX_PEEK_PAUSE: Final = 0.16
"""Seconds between looks at a greeting that arrives in pieces, at first and at most: what was peeked at keeps the socket
readable, so readiness tells nothing, and thousands of stalled greetings must not keep us busy."""


async def peek(sock: socket.socket, complete: Callable[[bytes], T | None], limit: int) -> T:
    """Waits until ``complete`` makes something of what has arrived, without taking it.

    Raises :class:`ClientError` when ``limit`` octets are not enough, :class:`ConnectionError` when the client has gone.
    """
    seen = 0
    pause = PEEK_PAUSE
    while True:
        data = _receive(sock, limit, socket.MSG_PEEK)
        if data is None:
            await _readable(sock)
            continue
        if not data:
            raise ConnectionResetError("the client has gone")
        if len(data) > seen:
            seen = len(data)
            result = complete(data)
            if result is not None:
                return result
            if seen >= limit:
                raise ClientError("the greeting is too large")
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PEEK_PAUSE)


async def take(sock: socket.socket, count: int) -> bytes:
    """Takes exactly ``count`` octets that :func:`peek` has seen."""
    parts: list[bytes] = []
    while count:
        part = _receive(sock, count)
        if part is None:
            await _readable(sock)
            continue
        if not part:
            raise ConnectionResetError("the client has gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def discard(sock: socket.socket) -> None:
    """Takes what has arrived and nobody wants: closing with unread octets would reset the answer away."""
    with contextlib.suppress(OSError):
        while sock.recv(1 << 16):
            pass


def _receive(sock: socket.socket, limit: int, flags: int = 0) -> bytes | None:
    """What has arrived; ``None``: nothing yet."""
    try:
        return sock.recv(limit, flags)
    except (BlockingIOError, InterruptedError):
        return None


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
