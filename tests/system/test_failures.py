"""A machine that lacks something: nothing runs, and the way out is named."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.caller import LIMIT, MAIN

if TYPE_CHECKING:
    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")


def run_with_programs_of(directory: Path, caller: Caller, *words: str) -> subprocess.CompletedProcess[str]:
    """``outward run`` on a machine whose system directory for bubblewrap and setsid is ``directory``."""
    changed = f"import outward.isolation.programs as p; p.SYSTEM_PATH = {str(directory)!r}; {MAIN}"
    argv = [changed if word == MAIN else word for word in caller.argv("run", "--", *words)]
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=caller.workspace,
        env=caller.env(),
        stdin=subprocess.DEVNULL,
    )


def pretend(caller: Caller, bwrap: str) -> Path:
    directory = caller.root / "system"
    caller.file(directory / "bwrap", f"#!/bin/sh\n{bwrap}\n", 0o755)
    caller.file(directory / "setsid", '#!/bin/sh\nexec /usr/bin/setsid "$@"\n', 0o755)
    return directory


def test_the_same_machine_with_everything(caller):
    assert run_with_programs_of(Path("/usr/bin"), caller, "touch", "ran").returncode == 0
    assert (caller.workspace / "ran").exists()


def test_without_bubblewrap_nothing_runs(caller):
    done = run_with_programs_of(caller.root / "empty", caller, "touch", "ran")
    assert done.returncode == 125
    assert "Install bubblewrap" in done.stderr
    assert not (caller.workspace / "ran").exists()


def test_an_old_bubblewrap_is_refused(caller):
    done = run_with_programs_of(pretend(caller, "echo bubblewrap 0.3.1"), caller, "touch", "ran")
    assert done.returncode == 125
    assert "bubblewrap 0.3 is older" in done.stderr


def test_a_bubblewrap_that_fails_is_quoted(caller):
    script = (
        'test "$1" = --version && exec echo bubblewrap 0.8.0; echo "bwrap: Creating new namespace failed" >&2; exit 1'
    )
    done = run_with_programs_of(pretend(caller, script), caller, "touch", "ran")
    assert done.returncode == 125
    assert "does not work on this machine: Creating new namespace failed" in done.stderr
    assert not (caller.workspace / "ran").exists()


@pytest.mark.needs("unshare")
def test_without_user_namespaces_nothing_runs(caller):
    """In a namespace where no more of them may be made, as on machines that forbid them."""
    if caller.uid is not None:
        pytest.skip("once is enough: the limit is set in a namespace of root's")
    limit = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh", *caller.argv("run", "--", "touch", "ran")]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=caller.workspace,
        env=caller.env(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 125, done.stderr
    assert "create a user and a network namespace" in done.stderr
    assert "user.max_user_namespaces" in done.stderr
    assert not (caller.workspace / "ran").exists()
