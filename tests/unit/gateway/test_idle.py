"""Connections in which nothing moves: both sides of an exchange without a socket, and a clock that is set by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from outward.audit import Batch
from outward.credentials import CredentialStore
from outward.gateway.client import EXCHANGE_TIME, KEEP_TIME, ClientConnection
from outward.gateway.gateway import Gateway
from outward.gateway.routes import TunnelRoute
from outward.gateway.tunnel import TUNNEL_TIME
from outward.gateway.upstream import MAX_CARRIED, UpstreamConnection
from tests.unit.gateway.test_websocket import ANSWER, FIELDS
from tests.unit.policy.conftest import make_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outward.core import Event

POLICY = "version: 1\ndestinations: [{host: a, allow: [GET /**]}]"
HANDSHAKE = f"GET /ws HTTP/1.1\n{FIELDS}\n\n".replace("\n", "\r\n").encode()
SWITCH = f"HTTP/1.1 101 X\n{ANSWER}\n\n".replace("\n", "\r\n").encode()
PING = b"\x89\x00"


class FakeTransport:
    """Keeps what was written, whether it was closed and whether it is read."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int) -> None: ...

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class FakeJournal:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def stage(self, event: Event) -> Batch:
        self.events.append(event)
        batch = Batch()
        batch.written = True
        return batch

    def commit(self) -> None: ...


class Pair:
    """A client's connection and the server's that its next request will be given, joined by a real gateway."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        policy = make_policy(POLICY)
        self.now = 0.0
        self.journal = FakeJournal()
        store = CredentialStore({}, environment={})
        nobody = cast(Any, None)
        self.gateway = Gateway(policy=policy, store=store, authority=nobody, journal=self.journal)
        cast(Any, self.gateway).clock = lambda: self.now
        self.client = ClientConnection(self.gateway, TunnelRoute("https", "a", 443, "a"), "default")
        self.server = UpstreamConnection(self.gateway.pool, self.gateway.turn, ("default", policy.destinations[0], "a"))
        self.to_client, self.to_server = FakeTransport(), FakeTransport()
        self.client.connection_made(cast(asyncio.Transport, self.to_client))
        self.server.connection_made(cast(asyncio.Transport, self.to_server))
        self.gateway.pool.put(self.server, 1e9)

    def hear(self, connection: ClientConnection | UpstreamConnection, data: bytes) -> None:
        """``data`` arrives."""
        self._turn(lambda: connection.data_received(data))

    def sweep(self, now: float) -> bool:
        """Whether the client's connection has outlived a look at it."""
        self.now = now
        self._turn(lambda: self.client.sweep(now))
        return not self.to_client.closed

    def _turn(self, happen: Callable[[], None]) -> None:
        """One turn of the event loop."""

        async def turn() -> None:
            happen()
            self.gateway.turn.end()

        self.runner.run(turn())


@pytest.fixture
def pair() -> Iterator[Pair]:
    with asyncio.Runner() as runner:
        yield Pair(runner)


@pytest.fixture
def opened(pair: Pair) -> Pair:
    """With an open WebSocket."""
    pair.hear(pair.client, HANDSHAKE)
    pair.hear(pair.server, SWITCH)
    assert pair.to_client.written.startswith(b"HTTP/1.1 101 ")
    return pair


def test_a_websocket_may_be_silent_for_long_and_not_for_ever(opened: Pair) -> None:
    assert opened.sweep(TUNNEL_TIME - 1)
    assert not opened.sweep(TUNNEL_TIME + 1)
    assert opened.to_server.closed
    assert [event.error for event in opened.journal.events] == [None, "nothing was sent for too long"]


@pytest.mark.parametrize("from_client", [True, False])
def test_a_ping_keeps_a_websocket(opened: Pair, from_client: bool) -> None:
    opened.now = TUNNEL_TIME - 1
    opened.hear(opened.client if from_client else opened.server, PING)
    assert (opened.to_server if from_client else opened.to_client).written.endswith(PING)
    assert opened.sweep(2 * TUNNEL_TIME - 2)
    assert not opened.sweep(2 * TUNNEL_TIME)


def test_a_handshake_is_no_tunnel_yet(pair: Pair) -> None:
    pair.hear(pair.client, HANDSHAKE)
    pair.sweep(EXCHANGE_TIME + 1)
    assert pair.to_server.closed
    assert pair.to_client.written.startswith(b"HTTP/1.1 504 ")


def test_a_connection_between_requests_is_closed(pair: Pair) -> None:
    assert pair.sweep(KEEP_TIME - 1)
    assert not pair.sweep(KEEP_TIME + 1)


REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_connection_is_not_kept_beyond_its_policy(pair: Pair, reloaded: bool) -> None:
    """After a reload nobody would ever ask for it again, by the destinations of the policy before."""
    pair.hear(pair.client, REQUEST)
    if reloaded:
        pair.gateway.pool.retire()
    pair.hear(pair.server, OK)
    assert pair.to_client.written.startswith(b"HTTP/1.1 200 ")
    assert pair.to_server.closed is reloaded


@pytest.mark.parametrize("octets", [MAX_CARRIED, MAX_CARRIED + 1])
def test_a_connection_that_carried_much_is_not_kept(pair: Pair, octets: int) -> None:
    """Its buffers would be kept with it."""
    pair.hear(pair.client, REQUEST)
    pair.hear(pair.server, f"HTTP/1.1 200 OK\r\nContent-Length: {octets}\r\n\r\n".encode())
    pair.hear(pair.server, bytes(octets))
    assert len(pair.to_client.written) > octets
    assert pair.to_server.closed is (octets > MAX_CARRIED)
