"""Review mode: what the sandbox writes is kept aside."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from outward.agents import home_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")


def inside(caller: Caller, line: str) -> str:
    done = caller.inside(line, "--mode", "review")
    assert done.returncode == 0, done.stderr
    return done.stdout


def upper(caller: Caller) -> Path:
    (layer,) = (caller.state / "layers").iterdir()
    return layer / "upper"


def test_the_agent_sees_its_changes_and_the_workspace_does_not(caller):
    caller.file(caller.workspace / "kept", "old\n")
    caller.file(caller.workspace / "gone" / "inner", "old\n")
    line = "echo new >kept; rm -r gone; mkdir gone; echo new >gone/other; cat kept; ls gone"
    assert inside(caller, line) == "new\nother\n"
    assert (caller.workspace / "kept").read_text() == "old\n"
    assert [path.name for path in (caller.workspace / "gone").iterdir()] == ["inner"]
    assert (upper(caller) / "kept").read_text() == "new\n"


def test_in_write_mode_the_same_changes_the_workspace(caller):
    caller.inside("echo new >made")
    assert (caller.workspace / "made").read_text() == "new\n"
    assert not (caller.state / "layers").exists()


def test_a_session_that_wrote_nothing_leaves_nothing(caller):
    inside(caller, "ls")
    assert list((caller.state / "layers").iterdir()) == []


def test_hidden_files_do_not_exist_and_a_new_one_may_be_made(caller):
    caller.file(caller.workspace / "sub" / ".env", "SECRET=1\n")
    assert inside(caller, "ls -A sub; test ! -e sub/.env && echo MINE=1 >sub/.env; cat sub/.env") == "MINE=1\n"
    assert (caller.workspace / "sub" / ".env").read_text() == "SECRET=1\n"


def test_a_secret_that_appears_while_the_agent_runs_is_not_seen(caller):
    line = "touch ready; until test -e ~/go; do sleep 0.05; done; cat .env plain"
    process = caller.start("run", "--quiet", "--mode", "review", "--", "sh", "-c", line)
    while not list((caller.state / "layers").glob("*/upper/ready")):
        assert process.poll() is None
    caller.file(caller.workspace / ".env", "SECRET=1\n")
    caller.file(caller.workspace / "plain", "plain\n")
    caller.file(home_of(caller.state, "generic", str(caller.workspace)) / "go", "")
    seen, said = process.communicate(timeout=60)
    assert seen == "plain\n"
    assert ".env: No such file" in said


def test_settings_that_take_effect_outside_stay_as_they_are(caller):
    caller.file(caller.workspace / ".git" / "hooks" / "pre-commit", "#!/bin/sh\n", 0o755)
    assert caller.inside("echo x >>.git/hooks/pre-commit", "--mode", "review").returncode != 0


def test_a_session_that_is_killed_loses_no_change(caller):
    line = "echo first >one; touch ready; sleep 60"
    process = caller.start("run", "--mode", "review", "--", "sh", "-c", line)
    while not list((caller.state / "layers").glob("*/upper/ready")):
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (upper(caller) / "one").read_text() == "first\n"


def test_a_name_that_would_be_an_option_is_none(caller):
    odd = caller.workspace / "a,upperdir=b:c\\d e"
    caller.file(odd / "file", "odd\n")
    done = caller.outward(
        "run", "--quiet", "--mode", "review", "--workspace", str(odd), "--", "sh", "-c", "cat file; rm file"
    )
    assert done.stdout == "odd\n"
    assert (odd / "file").exists()


def test_a_dry_run_names_the_layer_and_what_is_absent(caller):
    caller.file(caller.workspace / ".env", "SECRET=1\n")
    lines = caller.outward("run", "--dry-run", "--mode", "review", "--", "true").stdout.splitlines()
    assert f"layered    {caller.workspace}" in lines
    assert f"absent     {caller.workspace}/.env" in lines
    assert not (caller.state / "layers").exists()
