"""A machine that lacks something: nothing runs, and the way out is named."""

from __future__ import annotations

import os
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
    return run_main(
        f"import outward.isolation.programs as p; p.SYSTEM_PATH = {str(directory)!r}; {MAIN}", caller, *words
    )


def run_main(main: str, caller: Caller, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [main if word == MAIN else word for word in caller.argv("run", "--", *words)]
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


def run_with_limit(caller: Caller, name: str, limit: int) -> bool:
    """Whether a command ran. If not, all is as if nothing had been asked for, and the reason is said."""
    limited = f"import resource; resource.setrlimit(resource.{name}, ({limit}, {limit})); {MAIN}"
    done = run_main(limited, caller, "touch", "ran")
    ran = (caller.workspace / "ran").exists()
    assert done.returncode == (0 if ran else 125), done.stderr
    if not ran:
        assert "outward: " in done.stderr
        assert "Traceback" not in done.stderr
        assert [*caller.workspace.iterdir()] == []
    (caller.workspace / "ran").unlink(missing_ok=True)
    return ran


def test_with_few_descriptors_nothing_runs_and_nothing_hangs(caller):
    assert not any(run_with_limit(caller, "RLIMIT_NOFILE", limit) for limit in (7, 8, 9, 11, 13, 20, 32))
    assert run_with_limit(caller, "RLIMIT_NOFILE", 256)


def test_with_few_processes_nothing_runs_and_nothing_hangs(caller):
    if caller.uid is None and os.geteuid() == 0:
        pytest.skip("once is enough: there is no limit for root")
    there = sum(each.stat().st_uid == (caller.uid or os.geteuid()) for each in Path("/proc").glob("[0-9]*"))
    ran = [run_with_limit(caller, "RLIMIT_NPROC", there + more) for more in (1, 2, 3, 4, 5, 6, 7)]
    assert not all(ran)  # other tests' processes come and go, and count
    assert run_with_limit(caller, "RLIMIT_NPROC", there + 500)
