"""Answers leave when their records are written, and not without."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast

import pytest

from outward.core import ClientError
from outward.gateway.dns import Addresses, DnsFront, Questions, Resolver
from tests.unit.gateway.dns.test_message import header, question
from tests.unit.gateway.dns.test_resolver import Ground

if TYPE_CHECKING:
    from outward.gateway.gateway import Gateway


def resolver() -> Resolver:
    return Resolver("me", Addresses(ipv6=True))


@pytest.mark.parametrize("full", [False, True])
def test_over_udp(full: bool) -> None:
    async def ask() -> bytes:
        ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        ours.bind(("127.0.0.1", 0))
        questions = Questions(cast("Gateway", Ground(full=full)), ours, resolver())
        with theirs:
            theirs.setblocking(False)
            theirs.sendto(question("api.test"), ours.getsockname())
            questions._readable()
            questions.close()
            return theirs.recv(512)

    if full:
        with pytest.raises(BlockingIOError):
            asyncio.run(ask())
    else:
        assert header(asyncio.run(ask()))[1] & 15 == 0


@pytest.mark.parametrize("full", [False, True])
def test_over_tcp(full: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        asked = question("api.test")
        theirs.sendall(len(asked).to_bytes(2, "big") + asked)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ClientError if full else ConnectionError):
            asyncio.run(DnsFront(resolver()).serve(cast("Gateway", Ground(full=full)), ours))
        ours.close()
        answer = theirs.recv(512)
    assert answer == b"" if full else header(answer[2:])[1] & 15 == 0
