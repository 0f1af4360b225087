"""How a session ends: signals, time, and the death of ``outward`` itself."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import listening

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")


def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come; the test's own time limit ends it when it does not."""
    while not condition():
        time.sleep(0.02)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def told(caller: Caller, name: str, *options: str) -> tuple[str, int]:
    """What a command says, and how ``outward`` ends, when it gets the signal ``name``, which the command waits for."""
    process = caller.start("run", "--quiet", *options, "--", *listening(name))
    ready(process)
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=240)
    return out, process.returncode


def processes_with(marker: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "USR1"])
def test_signals_reach_the_command(caller, name):
    assert told(caller, f"SIG{name}") == (f"told SIG{name}\n", 9)


def test_a_signal_that_ends_the_command_is_its_status(caller):
    process = caller.start("run", "--quiet", "--", *listening())
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM


def test_the_whole_process_group_is_told(caller):
    """A shell that waits for a child acts on its trap only when the child ends."""
    process = caller.start(
        "run", "--quiet", "--", "sh", "-c", "trap 'exit 9' TERM; sh -c 'echo ready; exec sleep 1000'; exit 1"
    )
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 9


def test_the_time_limit_ends_it_with_124(caller):
    done = caller.outward("run", "--quiet", "--timeout", "2s", "--", *listening("SIGTERM"))
    assert (done.returncode, done.stdout) == (124, "ready\ntold SIGTERM\n")


def test_the_policy_limits_time_too(caller):
    policy = caller.file(caller.home / "policy.yaml", "version: 1\nsandbox: {limits: {time: 1s}}\n")
    assert caller.inside("sleep 1000", "--policy", str(policy), "--timeout", "1h").returncode == 124


def test_a_command_in_time_is_not_ended(caller):
    assert caller.inside("exit 4", "--timeout", "1h").returncode == 4


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_outward(caller, number):
    marker = f"marker-{uuid.uuid4()}"
    # One in a session of its own, one that ignores what it is told, and the command itself.
    line = (
        f"setsid -f sh -c 'sleep 1000; : {marker}'; sh -c 'trap : TERM; while :; do sleep 1; done; : {marker}' & "
        f"echo ready; sleep 1000; : {marker}"
    )
    process = caller.start("run", "--quiet", "--", "sh", "-c", line)
    ready(process)
    until(lambda: len(processes_with(marker)) >= 4)
    process.send_signal(number)
    process.wait(timeout=60)
    until(lambda: processes_with(marker) == [])


def test_what_the_command_leaves_behind_ends_with_it(caller):
    marker = f"marker-{uuid.uuid4()}"
    done = caller.inside(f"setsid -f sh -c 'sleep 1000; : {marker}' >/dev/null 2>&1; exit 5")
    assert done.returncode == 5
    until(lambda: processes_with(marker) == [])


def test_a_journal_that_cannot_be_written_means_nothing_runs(caller):
    caller.file(caller.state / "journal", "in the way")
    caller.state.chmod(0o700)
    done = caller.outward("run", "--", "touch", "ran")
    assert done.returncode == 125
    assert not (caller.workspace / "ran").exists()
