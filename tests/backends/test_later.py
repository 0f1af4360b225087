"""What comes into being in the workspace while a command runs, on the backends whose view can be entered."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.backends.conftest import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.backends.conftest import Box

pytestmark = pytest.mark.needs("git")


def repository(box: Box) -> Path:
    """The workspace as a repository; its settings."""
    subprocess.run(["git", "init", "--quiet", box.workspace], check=True)
    box.file(box.workspace / ".env", SECRET)
    box.file(box.workspace / "sub" / "plain", "", 0o644)
    for path in (box.workspace, *box.workspace.rglob("*")):
        if box.uid is not None:
            os.chown(path, box.uid, box.uid)
    return box.workspace / ".git" / "config"


def replace(box: Box, path: Path, text: str) -> None:
    """As editors and git do it."""
    box.file(path.with_name(f"{path.name}.new"), text, 0o644).rename(path)


@pytest.mark.parametrize("mode", ["write", "read", "review"])
def test_it_stays_hidden_and_read_only(box, mode):
    if box.kind.backend == "microvm":
        pytest.skip("its view cannot be entered: docs/workspace.md says so")
    config = repository(box)
    line = (
        "echo ready; read go; for each in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; cat .env sub/.env >~/seen 2>&1; done;"
        "cat ~/seen; echo made >.git/made; echo evil >>.git/config"
    )
    process = subprocess.Popen(
        box.argv("run", "--quiet", "--mode", mode, "--", "sh", "-c", line),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=box.workspace,
        env=box.env(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    replace(box, box.workspace / ".env", SECRET)
    replace(box, box.workspace / "sub" / ".env", SECRET)
    replace(box, config, "[core]\n")
    said, errors = process.communicate("go\n", timeout=60)
    assert SECRET not in said, errors
    assert config.read_text() == "[core]\n"
    assert (config.parent / "made").exists() == (mode == "write"), "a layer takes what is written to a repository, too"
