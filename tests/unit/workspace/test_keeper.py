"""The process that keeps things hidden, with processes of ours in place of a sandbox."""

from __future__ import annotations

import os
import select
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from outward.workspace import keeper
from outward.workspace.keeper import Keeper
from outward.workspace.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOTHING = Kept((), frozenset(), frozenset(), (), (), ("/nonexistent/file", "/nonexistent/directory"), ())


class Sandbox(NamedTuple):
    """``engine`` is what it ends with, ``first`` the process by which it is entered."""

    engine: subprocess.Popen[bytes]
    first: subprocess.Popen[bytes]
    pidfd: int

    @property
    def entrance(self) -> Callable[[], int]:
        return lambda: self.first.pid

    def fileno(self) -> int:
        return self.pidfd


@pytest.fixture
def sandbox(monkeypatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(keeper, "_LAST_BREATH", 1)
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as engine,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as first,
    ):
        pidfd = os.pidfd_open(engine.pid)
        yield Sandbox(engine, first, pidfd)
        os.close(pidfd)


def ended(process: subprocess.Popen[bytes]) -> None:
    """Ends it, and leaves it to be waited for."""
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def gives_up(keeping: Keeper, *, seconds: float) -> bool:
    assert keeping.process is not None
    return bool(select.select([keeping.process], [], [], seconds)[0])


def test_an_engine_takes_its_time_after_the_end_of_a_command(sandbox):
    """A short command is over before it can be entered, and an engine cleans up for seconds on a busy machine."""
    ended(sandbox.first)
    with Keeper(NOTHING, sandbox, None) as keeping:
        assert not gives_up(keeping, seconds=0.3)
        ended(sandbox.engine)
        assert gives_up(keeping, seconds=60)
    assert (sandbox.engine.wait(), keeping.trouble) == (0, "")


def test_what_runs_and_cannot_be_entered_is_ended(sandbox):
    with Keeper(NOTHING, sandbox, None) as keeping:
        assert gives_up(keeping, seconds=60)
    assert sandbox.engine.wait() == -9
    assert "the sandbox was ended" in keeping.trouble
