"""What the supervisor does about workers that do not answer: with workers that are no processes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from outward.audit.journal import FILE_BYTES, LIMIT_BYTES, Journal
from outward.core import NO_CALLER_PROXIES, HostError, OutwardError
from outward.policy import Policy, Sources
from outward.server.channel import Kind, Message
from outward.server.process import Process
from outward.server.supervisor import Supervisor
from outward.server.worker import Ground

if TYPE_CHECKING:
    from pathlib import Path


class FakeProcess:
    def __init__(self) -> None:
        self.pid = 4711
        self.killed = False

    def kill(self) -> None:
        self.killed = True


class FakeWorker:
    """Records what it is told."""

    def __init__(self, since: float | None = 1.0) -> None:
        self.process = FakeProcess()
        self.trouble = ""
        self.since = since
        self.told: list[Kind] = []

    def send(self, message: Message) -> None:
        self.told.append(message.kind)


class Desk:
    """A supervisor with fake workers and a clock that stands still."""

    def __init__(self, directory: Path, *workers: FakeWorker) -> None:
        ground: Any = Ground({}, NO_CALLER_PROXIES, None, directory, "serve-x", len(workers))  # type: ignore[arg-type]
        self.said: list[str] = []
        supervisor: Any = Supervisor(ground, Policy(), gather=_no_sources, report=self.said.append)
        supervisor._workers.update(enumerate(workers))
        self.supervisor = supervisor

    def tell(self) -> None:
        self.supervisor._tell(_descriptor())

    def hear(self, worker: FakeWorker, kind: Kind, text: str = "") -> None:
        self.supervisor._heed(worker, Message(kind, text))

    def time_passes(self) -> None:
        """Until every timer that is set now has run."""
        timers, self.supervisor._timers[:] = list(self.supervisor._timers), []
        for _, _, callback in timers:
            callback()


def _no_sources() -> Sources:
    raise OutwardError("not in this test")


def _descriptor() -> int:
    from outward.server.channel import memory_file

    return memory_file("test")


def test_the_policy_is_reloaded_when_the_last_worker_says_so(tmp_path: Path) -> None:
    one, two = FakeWorker(), FakeWorker()
    desk = Desk(tmp_path, one, two)
    desk.tell()
    assert (one.told, two.told) == ([Kind.REPLACE], [Kind.REPLACE])
    desk.hear(one, Kind.REPLACED)
    desk.hear(one, Kind.REPLACED)
    assert desk.said == []
    desk.hear(two, Kind.REPLACED)
    assert desk.said == ["the policy was reloaded"]
    desk.time_passes()
    assert [each.process.killed for each in (one, two)] == [False, False]


def test_who_does_not_follow_in_time_is_ended_and_nobody_else(tmp_path: Path) -> None:
    one, two = FakeWorker(), FakeWorker()
    desk = Desk(tmp_path, one, two)
    desk.tell()
    desk.hear(one, Kind.REPLACED)
    desk.time_passes()
    assert (one.process.killed, two.process.killed) == (False, True)
    assert "did not take the new policy over" in two.trouble
    assert desk.said == [], "not said before it is true"
    desk.supervisor._follows(two)  # its process has ended
    assert desk.said == ["the policy was reloaded"]


def test_the_patience_of_one_reload_does_not_end_the_next(tmp_path: Path) -> None:
    one = FakeWorker()
    desk = Desk(tmp_path, one)
    desk.tell()
    desk.hear(one, Kind.REPLACED)
    first = list(desk.supervisor._timers)
    desk.tell()
    for _, _, callback in first:
        callback()
    assert not one.process.killed


def test_who_cannot_follow_is_ended(tmp_path: Path) -> None:
    one = FakeWorker()
    desk = Desk(tmp_path, one)
    desk.tell()
    desk.hear(one, Kind.FAILED, "no")
    assert (one.process.killed, one.trouble) == (True, "no")


def test_who_does_not_drain_is_ended(tmp_path: Path) -> None:
    one = FakeWorker()
    desk = Desk(tmp_path, one)
    desk.supervisor._stop()
    assert (one.told, one.process.killed) == ([Kind.STOP], False)
    desk.supervisor._stop()
    assert one.told == [Kind.STOP, Kind.STOP]
    desk.time_passes()
    assert one.process.killed


def test_nothing_is_reloaded_any_more_when_it_ends(tmp_path: Path) -> None:
    one = FakeWorker()
    desk = Desk(tmp_path, one)
    desk.tell()
    desk.supervisor._reload()  # another signal meanwhile
    assert desk.supervisor._again
    desk.supervisor._stop()
    desk.hear(one, Kind.REPLACED)
    assert desk.supervisor._reader is None
    assert one.told == [Kind.REPLACE, Kind.STOP]


def test_it_is_ready_when_every_worker_is(tmp_path: Path) -> None:
    one, two = FakeWorker(since=None), FakeWorker(since=None)
    desk = Desk(tmp_path, one, two)
    announced: list[str] = []
    desk.supervisor._ready = lambda: announced.append("ready")
    desk.supervisor._reload()
    desk.hear(one, Kind.READY)
    assert announced == []
    begun: list[str] = []
    desk.supervisor._reload = lambda: begun.append("reload")
    desk.hear(two, Kind.READY)
    desk.hear(two, Kind.READY)
    assert announced == ["ready"], "said once"
    assert begun == ["reload"], "what was asked for before is done now"


def test_a_place_that_is_empty_is_not_ready(tmp_path: Path) -> None:
    one, two = FakeWorker(since=None), FakeWorker(since=None)
    desk = Desk(tmp_path, one, two)
    announced: list[str] = []
    desk.supervisor._ready = lambda: announced.append("ready")
    del desk.supervisor._workers[1]
    desk.hear(one, Kind.READY)
    assert announced == []


def test_a_process_that_goes_wrong_says_so_and_runs_nothing_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> int:
        raise RuntimeError("unforeseen")

    process = Process(broken, release=lambda: None)
    assert process.reap() not in {0, -signal.SIGKILL}
    assert "RuntimeError: unforeseen" in capfd.readouterr().err
    process = Process(lambda: 7, release=lambda: None)
    assert process.reap() == 7


def test_all_workers_together_keep_the_limit_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int, int]] = []

    def opened(_: Path, *, session: str, limit_bytes: int, file_bytes: int) -> None:
        asked.append((session, limit_bytes, file_bytes))

    monkeypatch.setattr(Journal, "open", opened)
    for workers in (2, 7, 999):
        Ground({}, NO_CALLER_PROXIES, None, tmp_path, "serve-x", workers).open_journal(3)  # type: ignore[arg-type]
        session, limit, file = asked.pop()
        assert session == "serve-x-w3"
        # One has just made room for its own file; each other may have an empty file to fill.
        assert (limit - file) + workers * file <= LIMIT_BYTES
        assert file * workers <= FILE_BYTES < (file + 1) * workers


def test_a_worker_that_never_began_is_the_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, FakeWorker())
    desk.supervisor._ready = lambda: None
    with pytest.raises(HostError, match="why"):
        desk.supervisor._replace(0, "why", 0.0)
    desk.supervisor._ready = None
    desk.supervisor._replace(0, "why", 0.0)
    assert desk.said == ["why; another takes its place"]
