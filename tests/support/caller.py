"""The real command line, run by somebody with a home, a state directory and a workspace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import pytest

import outward
from tests.conftest import SOMEBODY

if TYPE_CHECKING:
    from collections.abc import Iterator

MAIN = "from outward.cli import main; main()"
PACKAGES = [str(Path(module.__file__ or "").parents[1]) for module in (outward, click)]
LIMIT = 60


MACHINE = Path(os.environ.get("OUTWARD_TEST_MACHINE", "/nonexistent"))
"""Where `outward image kernel` has put a machine's kernel: tests fetch nothing."""


@dataclass
class Caller:
    """Somebody with a home, a state directory and a workspace."""

    root: Path
    python: str
    uid: int | None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def workspace(self) -> Path:
        return self.home / "project"

    def file(self, path: Path, text: str, mode: int = 0o600) -> Path:
        """A file of the caller's own."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        if self.uid is not None:
            for each in (path, *path.parents):
                if self.root in (each, *each.parents):
                    os.chown(each, self.uid, self.uid)

    def bring_machine(self) -> None:
        """The kernel of virtual machines that is on this machine already."""
        for name in ("vmlinux", "initrd"):
            place = self.file(self.state / "machine" / name, "")
            shutil.copyfile(MACHINE / name, place)

    def argv(self, *arguments: str) -> list[str]:
        user = [] if self.uid is None else ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        return [*user, self.python, "-c", MAIN, *arguments]

    def env(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "OUTWARD_HOME": str(self.state),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": ":".join(PACKAGES),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TERM": "xterm-256color",
            **self.environment,
        }

    def outward(self, *arguments: str, stdin: str = "", timeout: float = LIMIT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",  # what is looked through may be anything
            timeout=timeout,
            cwd=self.workspace,
            env=self.env(),
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",  # what is looked through may be anything
            cwd=self.workspace,
            env=self.env(),
        )

    def inside(self, command: str, *options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A line of shell in the sandbox."""
        return self.outward("run", "--quiet", *options, "--", "sh", "-c", command, stdin=stdin)

    def await_inside(self, process: subprocess.Popen[str], name: str) -> Path:
        """Waits until the command has made ``~/name``; the home, outside."""
        while not (found := list((self.state / "homes").glob(f"**/{name}"))):
            assert process.poll() is None
            time.sleep(0.01)
        return found[0].parent

    def journal(self) -> list[dict[str, Any]]:
        """What has been recorded so far."""
        files = sorted((self.state / "journal").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


@cache
def _python_for(uid: int) -> str | None:
    """An interpreter that the user can start and that can load our packages."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        trial = subprocess.run(
            [
                "setpriv",
                f"--reuid={uid}",
                f"--regid={uid}",
                "--clear-groups",
                candidate,
                "-c",
                "import outward.cli, uvloop",
            ],
            env={"PYTHONPATH": ":".join(PACKAGES), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=LIMIT,
        )
        if trial.returncode == 0:
            return candidate
    return None


Kind = TypeVar("Kind", bound=Caller)


@contextmanager
def new_caller(kind: type[Kind], *, unprivileged: bool) -> Iterator[Kind]:
    """A caller whose files are removed at the end; skips the test where there can be none."""
    root = Path(tempfile.mkdtemp(prefix="outward-test-"))
    try:
        caller = kind(root, sys.executable, None) if not unprivileged else kind(root, _python_of_somebody(), SOMEBODY)
        caller.workspace.mkdir(parents=True)
        caller.own(caller.workspace)
        yield caller
    finally:
        while root.exists():
            with suppress(FileNotFoundError):  # what guarded a session that was killed cleans up beside us
                shutil.rmtree(root)


def _python_of_somebody() -> str:
    if os.geteuid() != 0:
        pytest.skip("the tests run unprivileged anyway")
    if (python := _python_for(SOMEBODY)) is None:
        pytest.skip("NOT TESTED: no Python that an unprivileged user could start here")
    return python
