"""A guard that is killed: nothing goes on without it, and what it would have done is done."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

import pytest

from outward import kernel
from outward.core import HostError
from outward.workspace.guard import Guard, Guarded, StandIn

if TYPE_CHECKING:
    from pathlib import Path


class Ending:
    """A process that has ended, and that nobody has asked for its status yet."""

    def __init__(self) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(0)
        self._process = os.pidfd_open(self.pid)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def fileno(self) -> int:
        return self._process


def kill(guard: Guard) -> None:
    os.kill(guard._pid, signal.SIGKILL)
    os.waitid(os.P_PID, guard._pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("killed", [False, True])
def test_what_takes_effect_outside_is_set_aside(tmp_path: Path, killed: bool) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with Guard(Guarded((str(workspace),)), tmp_path / "guards") as guard:
        if killed:
            kill(guard)
        file = workspace / "sub" / ".mcp.json"
        file.parent.mkdir()
        file.write_text("evil")
    assert list(guard.aside) == [str(file)]
    assert not file.exists()


def test_a_sandbox_whose_number_is_still_a_sessions_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 6.1 says "Invalid argument" of such a process."""
    ending = Ending()
    monkeypatch.setattr(os, "pidfd_open", invalid)
    guarded = Guarded((str(tmp_path),), (StandIn(str(tmp_path), ".vscode", None),))
    with Guard(guarded, tmp_path / "guards") as guard:
        guard.watch(ending)
        assert (tmp_path / ".vscode").is_dir()
    assert ([*tmp_path.iterdir()], guard.aside) == ([tmp_path / "guards"], {})
    with pytest.raises(ProcessLookupError):
        kernel.open_process(ending.pid)
    os.waitpid(ending.pid, 0)
    os.close(ending.fileno())


def invalid(_: int) -> int:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_no_sandbox_goes_on_without_it(tmp_path: Path) -> None:
    ending = Ending()
    with Guard(Guarded((str(tmp_path),)), tmp_path / "guards") as guard:
        guard.watch(ending)
    with Guard(Guarded((str(tmp_path),)), tmp_path / "guards") as guard:
        kill(guard)
        with pytest.raises(HostError, match="what guards the workspace has been killed"):
            guard.watch(ending)
    os.waitpid(ending.pid, 0)
    os.close(ending.fileno())
