"""Whether an end of a connection is our own."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
from typing import cast

import pytest

from outward.gateway.local import Outgoing


class Dialled:
    """A socket that connects in its own way."""

    def __init__(self, own: tuple[str, int], outcome: int = 0) -> None:
        self.own = own
        self.outcome = outcome
        self.closed = False

    def connect_ex(self, _: tuple[str, int]) -> int:
        return self.outcome

    def getsockname(self) -> tuple[object, ...]:
        return (*self.own, 0, 0) if ":" in self.own[0] else self.own

    def fileno(self) -> int:
        return -1 if self.closed else 3


class Accepted:
    """A socket whose other end is at ``peer``."""

    def __init__(self, peer: tuple[str, int]) -> None:
        self._peer = peer

    def getpeername(self) -> tuple[str, int]:
        return self._peer


def connect(outgoing: Outgoing, sock: Dialled) -> None:
    asyncio.run(outgoing.connect(cast(socket.socket, sock), ("192.0.2.1", 443)))


def reaches(outgoing: Outgoing, *peer: object) -> bool:
    return outgoing.reaches(cast(socket.socket, Accepted(cast("tuple[str, int]", peer))))


def test_what_we_dial_is_ours_as_long_as_it_is_open() -> None:
    outgoing, sock = Outgoing(), Dialled(("192.0.2.9", 40000))
    connect(outgoing, sock)
    assert reaches(outgoing, "192.0.2.9", 40000)
    assert reaches(outgoing, "::ffff:192.0.2.9", 40000, 0, 0), "as a socket for both families shows it"
    assert not reaches(outgoing, "192.0.2.9", 40001)
    assert not reaches(outgoing, "192.0.2.8", 40000)
    sock.closed = True
    assert not reaches(outgoing, "192.0.2.9", 40000), "somebody else may have the port now"


def test_what_is_forgotten_is_not_kept() -> None:
    outgoing, sock = Outgoing(), Dialled(("2001:db8::9", 40000))
    connect(outgoing, sock)
    assert reaches(outgoing, "2001:DB8:0::9", 40000, 0, 0)
    del sock
    gc.collect()
    assert not reaches(outgoing, "2001:db8::9", 40000, 0, 0)


def test_what_fails_at_once_is_nothing() -> None:
    outgoing, sock = Outgoing(), Dialled(("0.0.0.0", 0), errno.ECONNREFUSED)
    with pytest.raises(ConnectionRefusedError):
        connect(outgoing, sock)
    assert not reaches(outgoing, "0.0.0.0", 0)
