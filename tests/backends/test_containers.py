"""What holds in containers alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.backends.conftest import ENGINES, kinds
from tests.system.test_end import ready, until

if TYPE_CHECKING:
    import subprocess

    from tests.backends.conftest import Box

pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("box", kinds(*ENGINES), indirect=True)]


def started(box: Box) -> subprocess.Popen[str]:
    process = box.start("run", "--quiet", "--", "sh", "-c", "echo ready; sleep 1000")
    ready(process)
    return process


def kill_with_helpers(process: subprocess.Popen[str]) -> None:
    """Kills a session and all that waits for its end, as if the machine had."""
    process.send_signal(signal.SIGSTOP)
    helpers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*map(int, helpers), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def test_what_nobody_was_left_to_remove_is_removed_by_the_next_start(box):
    process = started(box)
    if box.kind.backend == "docker":  # its containers would end with their standard input
        box.engine("pause", *(name for name in box.containers() if name.endswith("-cage")))
    kill_with_helpers(process)
    remains = box.containers()
    assert remains
    assert box.inside("true").returncode == 0
    until(lambda: not set(remains) & set(box.containers()))


def test_those_of_a_living_session_are_left_alone(box):
    process = started(box)
    before = box.containers()
    assert box.inside("true").returncode == 0
    assert set(before) <= set(box.containers())
    process.terminate()
    process.wait()
