"""One turn: everything is read, then worked on, then recorded; only then does anything leave."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from outward.audit import Journal
from outward.core import Action, Destination, JournalUnavailable, Rule
from outward.credentials import CredentialStore
from outward.gateway import Gateway
from outward.gateway.client import ClientConnection
from outward.gateway.routes import TunnelRoute
from outward.gateway.turn import MAX_KEPT, Turn, next_step
from outward.gateway.upstream import UpstreamConnection
from outward.pki import Authority
from outward.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "api.example.com"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(path: str, extra: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{extra}\r\n".encode()


class Wire(asyncio.Transport):
    """A transport that notes, in a list that all of them share, what is sent through it."""

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self.name, self.log, self.closed = name, log, False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        line = bytes(data).partition(b"\r\n")[0]
        self.log.append(f"{self.name}: {line.decode()}")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class Scene:
    """A gateway whose clients and servers are wires, and whose log also has the writes of its journal."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.full = False
        rules = (Rule("allow", Action.ALLOW, None, "/ok/**"),)
        self.destination = Destination(HOST, HOST, 443, "https", rules)
        self.journal = Journal.open(directory / "journal", session="s")
        self.gateway = Gateway(
            policy=Policy(destinations=(self.destination,)),
            store=CredentialStore({}, environment={}),
            authority=Authority.open(directory / "authority"),
            journal=self.journal,
        )
        write = os.write

        def noted(descriptor: int, data: bytes) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            starts, ends = data.count(b'"start"'), data.count(b'"end"')
            self.log.append(f"journal: {starts} start, {ends} end")
            return write(descriptor, data)

        monkeypatch.setattr(os, "write", noted)

    def client(self) -> ClientConnection:
        connection = ClientConnection(self.gateway, TunnelRoute("https", HOST, 443, HOST), "agent")
        connection.connection_made(Wire("client", self.log))
        return connection

    def server(self) -> UpstreamConnection:
        """An idle connection in the pool."""
        key = ("agent", self.destination, HOST)
        connection = UpstreamConnection(self.gateway.pool, self.gateway.turn, key)
        connection.connection_made(Wire("server", self.log))
        self.gateway.pool.put(connection, 1e9)
        return connection

    def told(self) -> list[str]:
        log = self.log.copy()
        self.log.clear()
        return log


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Scene], None]], None]:
    def run(story: Callable[[Scene], None]) -> None:
        async def main() -> None:
            scene = Scene(tmp_path, monkeypatch)
            with scene.journal:
                story(scene)

        asyncio.run(main())

    return run


def test_requests_of_one_turn_share_a_write_and_go_on_after_it(play: Callable[[Callable[[Scene], None]], None]) -> None:
    def story(scene: Scene) -> None:
        clients, servers = [scene.client() for _ in range(3)], [scene.server() for _ in range(3)]
        for number, client in enumerate(clients):
            client.data_received(request(f"/ok/{number}"))
        assert scene.told() == [], "nothing is done before the turn ends"
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 3 start, 0 end", *(f"server: GET /ok/{n} HTTP/1.1" for n in range(3))]
        for server in servers:
            server.data_received(ANSWER)
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 0 start, 3 end", *["client: HTTP/1.1 200 OK"] * 3]

    play(story)


def test_a_refusal_is_recorded_before_anybody_is_told(play: Callable[[Callable[[Scene], None]], None]) -> None:
    def story(scene: Scene) -> None:
        scene.client().data_received(request("/no", "Connection: close\r\n"))
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 0 start, 1 end", "client: HTTP/1.1 403 Forbidden"]

    play(story)


def test_nothing_goes_on_if_the_journal_cannot_be_written(play: Callable[[Callable[[Scene], None]], None]) -> None:
    def story(scene: Scene) -> None:
        clients = [scene.client() for _ in range(2)]
        for _ in clients:
            scene.server()
        scene.full = True
        for client in clients:
            client.data_received(request("/ok/x"))
        scene.gateway.turn.end()
        assert scene.told() == ["client: HTTP/1.1 503 Service Unavailable"] * 2
        scene.full = False
        clients[0].data_received(request("/ok/y"))
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 1 start, 0 end", "server: GET /ok/y HTTP/1.1"]

    play(story)


def test_a_request_goes_by_its_own_batch_and_not_by_a_later_one(
    play: Callable[[Callable[[Scene], None]], None],
) -> None:
    """Somebody else writes the journal in between, and fails: that the next write succeeds must not let the request go on."""

    def story(scene: Scene) -> None:
        scene.server()
        client = scene.client()
        client.data_received(request("/ok/x", "X-Long: " + "x" * MAX_KEPT + "\r\n"))  # at once, in no turn
        scene.full = True
        with pytest.raises(JournalUnavailable):
            scene.journal.commit()
        scene.full = False
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 0 start, 1 end", "client: HTTP/1.1 503 Service Unavailable"]

    play(story)


def test_a_client_that_has_gone_is_not_served_any_more(play: Callable[[Callable[[Scene], None]], None]) -> None:
    def story(scene: Scene) -> None:
        scene.server()
        client = scene.client()
        client.data_received(request("/ok/x"))
        client.connection_lost(None)
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 1 start, 1 end"]

    play(story)


def test_what_comes_in_pieces_keeps_its_order(play: Callable[[Callable[[Scene], None]], None]) -> None:
    def story(scene: Scene) -> None:
        server = scene.server()
        client = scene.client()
        for octet in request("/ok/x"):
            client.data_received(bytes([octet]))
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 1 start, 0 end", "server: GET /ok/x HTTP/1.1"]
        for octet in ANSWER:
            server.data_received(bytes([octet]))
        assert server.eof_received() is False
        server.connection_lost(None)
        scene.gateway.turn.end()
        assert scene.told() == ["client: HTTP/1.1 200 OK", "client: o", "client: k", "journal: 0 start, 1 end"]

    play(story)


def test_what_a_server_says_unasked_is_nobodys_answer(play: Callable[[Callable[[Scene], None]], None]) -> None:
    """It comes in the turn in which the connection is taken from the pool."""

    def story(scene: Scene) -> None:
        server = scene.server()
        client = scene.client()
        client.data_received(request("/ok/x"))
        server.data_received(ANSWER)
        assert server.closed
        scene.gateway.turn.end()
        assert scene.told() == ["journal: 1 start, 0 end"]

    play(story)


class Recorder:
    """A connection and a request of which nothing is known but what the turn asks of them."""

    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name, self.log, self.error = name, log, error

    def _note(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error

    take_up = flush = recorded = _note


def test_an_error_that_was_not_foreseen_leaves_the_others_alone(tmp_path: Path) -> None:
    log: list[str] = []

    async def main() -> None:
        with Journal.open(tmp_path / "journal", session="s") as journal:
            turn = Turn(journal, next_step)
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: log.append("reported"))
            for add in (turn.arrived, turn.writing, turn.starting):
                add(Recorder("broken", log, ZeroDivisionError()))
                add(Recorder(add.__name__, log))
            for _ in range(8):
                await asyncio.sleep(0)

    asyncio.run(main())
    broken = ["broken", "reported"]
    assert log == [*broken, "arrived", *broken, "writing", *broken, "starting"]
