"""What holds in containers alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.backends.conftest import CONTAINERS, boxes
from tests.system.test_end import ready, until

if TYPE_CHECKING:
    import subprocess

    from tests.backends.conftest import Box

pytestmark = pytest.mark.timeout(300)
everywhere = pytest.mark.parametrize("box", boxes(*CONTAINERS), indirect=True)


def started(box: Box) -> subprocess.Popen[str]:
    process = box.start("run", "--quiet", "--", "sh", "-c", "echo ready; sleep 1000")
    ready(process)
    return process


def keep_holder(box: Box) -> None:
    """Docker's containers end with what reads the holder's standard input: it does not read any more."""
    (holder,) = (name for name in box.containers() if name.endswith("-cage"))
    shell = int(box.engine("inspect", "--format", "{{.State.Pid}}", holder))
    for pid in children(shell):
        os.kill(pid, signal.SIGSTOP)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_with_helpers(process: subprocess.Popen[str]) -> None:
    """Kills a session and all that waits for its end, as if the machine had."""
    process.send_signal(signal.SIGSTOP)
    for pid in (*children(process.pid), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


@everywhere
def test_what_nobody_was_left_to_remove_is_removed_by_the_next_start(box):
    process = started(box)
    if box.kind.backend == "docker":
        keep_holder(box)
    kill_with_helpers(process)
    remains = box.containers()
    assert remains
    assert box.inside("true").returncode == 0
    until(lambda: not set(remains) & set(box.containers()))


@everywhere
def test_those_of_a_living_session_are_left_alone(box):
    process = started(box)
    before = box.containers()
    assert box.inside("true").returncode == 0
    assert set(before) <= set(box.containers())
    process.terminate()
    process.wait()


@everywhere
def test_who_would_be_root_of_this_machine_is_told(box):
    told = "the command is root of this machine" in box.inside("true").stderr
    mapping = box.inside("cat /proc/self/uid_map").stdout.split()
    assert told is (mapping[:2] == ["0", "0"] and not box.kind.own_kernel)


@pytest.mark.parametrize("box", boxes("docker-user"), indirect=True)
def test_power_over_roots_daemon_alone_does_not_do(box, daemon):
    """As with the group `docker`."""
    listening = Path(daemon.removeprefix("unix://"))
    for path, mode in ((listening.parent, 0o711), (listening, 0o666)):
        path.chmod(mode)
    box.environment["DOCKER_HOST"] = daemon
    box.engine("ps")  # which succeeds
    done = box.inside("echo ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert "docker's daemon is root's and you are not" in done.stderr
