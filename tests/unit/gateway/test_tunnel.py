"""A tunnel's ends, without sockets: whoever speaks first is heard, and whoever has said all."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

import pytest

from outward.audit import Batch
from outward.core import Action, Code, Destination, Request, Verdict
from outward.core.summary import Summary
from outward.credentials import CredentialStore
from outward.gateway.fronts.opening import Opening
from outward.gateway.ledger import Ledger
from outward.gateway.ruleset import Ruleset
from outward.gateway.tunnel import Tunnel
from outward.gateway.turn import Turn
from outward.policy import Policy

if TYPE_CHECKING:
    from outward.core import Event
    from outward.gateway.fronts.opening import Replies
    from outward.gateway.gateway import Gateway
    from outward.gateway.tunnel import TunnelEnd


class Transport:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.written = b""
        self.done: list[str] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return "close" in self.done

    def set_write_buffer_limits(self, *_: int) -> None:
        pass

    set_read_buffer_limits = set_write_buffer_limits

    def __getattr__(self, name: str) -> Any:
        return lambda: self.done.append(name)


class Ground:
    """As much of a gateway as a tunnel needs."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.tunnels: set[object] = set()
        self.joined, self.left = self.tunnels.add, self.tunnels.discard
        self.ruleset = Ruleset(Policy(), CredentialStore({}, environment={}))
        self.journal = self
        self.ledger = Ledger(self, Turn(self, soon=lambda end: None), Summary(), "")

    def stage(self, event: Event) -> Batch:
        self.events.append(event)
        return Batch()

    def commit(self) -> None: ...

    def clock(self) -> float:
        return 0.0


@pytest.fixture
def ground() -> Ground:
    return Ground()


@pytest.fixture
def tunnel(ground: Ground) -> Tunnel:
    asked = Request("agent", "CONNECT", "https", "192.0.2.1", 22, "", "")
    tunnel = Tunnel(cast("Gateway", ground), asked, Verdict(Action.ALLOW))
    tunnel.start()
    return tunnel


def connect(end: TunnelEnd) -> Transport:
    transport = Transport()
    end.connection_made(cast("asyncio.BaseTransport", transport))
    return transport


def test_what_the_server_says_first_is_heard(tunnel: Tunnel, ground: Ground) -> None:
    server = connect(tunnel.server)
    tunnel.server.data_received(b"banner, ")
    client = connect(tunnel.client)
    tunnel.server.data_received(b"and more")
    assert client.written == b"", "not before the tunnel is joined"
    tunnel.client.data_received(b"early")
    tunnel.join("192.0.2.1")
    assert (client.written, server.written) == (b"banner, and more", b"early")
    tunnel.server.data_received(b"!")
    assert client.written.endswith(b"more!")
    tunnel.close()
    assert (ground.events[-1].bytes_out, ground.events[-1].bytes_in) == (17, 5)


def test_a_client_that_is_slow_from_the_beginning_holds_the_server_up(tunnel: Tunnel) -> None:
    server = connect(tunnel.server)
    tunnel.server.data_received(b"much")
    client = connect(tunnel.client)
    client.write = lambda data: tunnel.client.pause_writing()  # type: ignore[method-assign]
    tunnel.join("192.0.2.1")
    assert server.done[-1] == "pause_reading"


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_server_is_not_heard_out_while_the_client_says_who_it_means(
    tunnel: Tunnel, ground: Ground, first: str
) -> None:
    """Else it could fill the memory for as long as a greeting may take."""
    server = connect(tunnel.server)
    ours, theirs = socket.socketpair()

    async def see() -> None:
        opening = Opening(cast("Gateway", ground), ours, "agent", "ssh.test", 22, cast("Replies", None))
        seeing = asyncio.ensure_future(opening._see_beginning(tunnel))
        await asyncio.sleep(0)
        assert "pause_reading" not in server.done
        if first == "client":
            theirs.send(b"\x16")  # as much of TLS as it takes to tell that it is
        else:
            tunnel.server.data_received(b"SSH-2.0-")
        while "pause_reading" not in server.done:
            assert not seeing.done(), seeing.exception()
            await asyncio.sleep(0.001)
        seeing.cancel()
        await asyncio.gather(seeing, return_exceptions=True)

    with ours, theirs:
        ours.setblocking(False)
        asyncio.run(asyncio.wait_for(see(), 20))


def test_a_connection_that_is_given_up_while_it_is_made_has_its_end_in_the_journal(ground: Ground) -> None:
    class Dialler:
        async def open(self, *_: Any, **__: Any) -> None:
            await asyncio.Event().wait()

    async def give_up() -> None:
        ground.dialler = Dialler()  # type: ignore[attr-defined]
        passed = Destination("ssh.test", "ssh.test", 22, "https", (), tls="passthrough")
        opening = Opening(cast("Gateway", ground), ours, "agent", "ssh.test", 22, cast("Replies", None))
        async with asyncio.timeout(0.01):
            await opening.pass_through(Verdict(Action.ALLOW, destination=passed))

    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert [event.phase for event in ground.events] == ["start", "end"]
    assert ground.events[-1].error == "it was given up before the server was reached"


def test_a_server_that_has_said_all_before_anybody_listens(tunnel: Tunnel) -> None:
    server = connect(tunnel.server)
    tunnel.server.data_received(b"go away")
    assert tunnel.server.eof_received(), "its connection stays, for the client may still have something to say"
    client = connect(tunnel.client)
    tunnel.join("192.0.2.1")
    assert (client.written, client.done) == (b"go away", ["write_eof"])
    assert not tunnel.client.eof_received(), "and now both have"
    assert "write_eof" not in server.done


def test_both_have_said_all_before_they_are_joined(tunnel: Tunnel) -> None:
    server, client = connect(tunnel.server), connect(tunnel.client)
    tunnel.server.eof_received()
    tunnel.client.eof_received()
    tunnel.join("192.0.2.1")
    assert "close" in client.done
    assert "close" in server.done


def test_a_server_that_is_gone_before_the_client_is_there(tunnel: Tunnel, ground: Ground) -> None:
    connect(tunnel.server)
    tunnel.server.data_received(b"lost")
    tunnel.server.connection_lost(None)
    client = connect(tunnel.client)
    tunnel.join("192.0.2.1")
    assert (client.written, client.done) == (b"", ["close"])
    assert [event.phase for event in ground.events] == ["start", "end"]
    assert not ground.tunnels


def test_what_is_refused_is_never_joined(tunnel: Tunnel, ground: Ground) -> None:
    server = connect(tunnel.server)
    tunnel.refuse(Code.HOST_MISMATCH, "another name")
    assert server.done == ["close"]
    assert (ground.events[-1].verdict, ground.events[-1].code) == ("deny", "host_mismatch")


def test_a_client_that_goes_away_is_not_refused(tunnel: Tunnel, ground: Ground) -> None:
    connect(tunnel.server)
    tunnel.close("the client has gone")
    assert (ground.events[-1].verdict, ground.events[-1].error) == ("allow", "the client has gone")
