"""Review mode: what the sandbox writes is kept aside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")

SCRIBBLER = Path(__file__).parents[1] / "support" / "scribbler.py"


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
    line = "touch ~/ready; until test -e ~/go; do sleep 0.05; done; cat .env plain"
    process = caller.start("run", "--quiet", "--mode", "review", "--", "sh", "-c", line)
    home = caller.await_inside(process, "ready")
    caller.file(caller.workspace / ".env", "SECRET=1\n")
    caller.file(caller.workspace / "plain", "plain\n")
    caller.file(home / "go", "")
    seen, said = process.communicate(timeout=60)
    assert seen == "plain\n"
    assert ".env: No such file" in said


def test_settings_that_take_effect_outside_stay_as_they_are(caller):
    caller.file(caller.workspace / ".git" / "hooks" / "pre-commit", "#!/bin/sh\n", 0o755)
    assert caller.inside("echo x >>.git/hooks/pre-commit", "--mode", "review").returncode != 0


def test_a_session_that_is_killed_loses_no_change(caller):
    line = "echo first >one; touch ~/ready; sleep 60"
    process = caller.start("run", "--mode", "review", "--", "sh", "-c", line)
    caller.await_inside(process, "ready")
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


def contents(root: Path) -> dict[str, tuple[int, str]]:
    """Every path, its mode, and what it holds."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        held = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(root))] = (0 if path.is_symlink() else status.st_mode, held)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_whatever_an_agent_does_is_what_applying_gives(caller, seed):
    """The same steps in the sandbox, in review, and on a copy of the workspace outside."""
    script = caller.file(caller.workspace / "scribbler.py", SCRIBBLER.read_text(), 0o644)
    subprocess.run([sys.executable, script, str(seed + 100), "200"], check=True, cwd=caller.workspace)
    for path in caller.workspace.rglob("*"):
        if caller.uid is not None:
            os.chown(path, caller.uid, caller.uid, follow_symlinks=False)
    before = contents(caller.workspace)
    copy = caller.root / "copy"
    shutil.copytree(caller.workspace, copy, symlinks=True)
    subprocess.run([sys.executable, script, str(seed), "300"], check=True, cwd=copy)
    inside(caller, f"/usr/bin/python3 scribbler.py {seed} 300")
    assert contents(caller.workspace) == before
    done = caller.outward("apply", "--suspicious")
    assert done.returncode == 0, done.stderr
    assert contents(caller.workspace) == contents(copy) != before
    assert list((caller.state / "layers").iterdir()) == []


def test_review_apply_and_discard(caller):
    caller.file(caller.workspace / "kept", "one\n")
    caller.file(caller.workspace / "gone", "one\n")
    inside(caller, "echo two >kept; rm gone; echo run >.envrc; mkdir new; printf 'a\\033[2Jb' >new/file")
    review = caller.outward("review")
    assert review.returncode == 0, review.stderr
    assert "-one\n+two\n" in review.stdout
    assert "!  A  .envrc\n     suspicious: " in review.stdout.replace("! A", "!  A")
    assert "\x1b" not in review.stdout
    assert "+a\\x1b[2Jb" in review.stdout
    record = json.loads(caller.outward("review", "--json").stdout)
    assert {change["path"]: change["status"] for change in record["changes"]} == {
        ".envrc": "added",
        "gone": "deleted",
        "kept": "modified",
        "new": "added",
        "new/file": "added",
    }
    part = caller.outward("apply", "kept")
    assert part.returncode == 0, part.stderr
    assert (caller.workspace / "kept").read_text() == "two\n"
    assert (caller.workspace / "gone").exists()
    rest = caller.outward("apply")
    assert rest.returncode == 1
    assert "left: .envrc" in rest.stderr
    assert not (caller.workspace / "gone").exists()
    assert not (caller.workspace / ".envrc").exists()
    assert caller.outward("discard", record["session"]).returncode == 0
    assert not (caller.workspace / ".envrc").exists()
    nothing = caller.outward("review")
    assert nothing.returncode == 2
    assert "no session changed anything" in nothing.stderr


def test_a_running_session_can_be_looked_at_but_not_applied(caller):
    process = caller.start("run", "--mode", "review", "--", "sh", "-c", "echo x >made; touch ~/ready; sleep 60")
    caller.await_inside(process, "ready")
    review = caller.outward("review")
    assert "still running" in review.stdout
    assert "A  made" in review.stdout
    for verb in ("apply", "discard"):
        done = caller.outward(verb)
        assert done.returncode == 2
        assert "still running" in done.stderr
    process.terminate()
    process.wait()
    assert caller.outward("apply").returncode == 0
    assert (caller.workspace / "made").read_text() == "x\n"


def test_an_apply_that_is_killed_is_done_again(caller):
    for number in range(200):
        caller.file(caller.workspace / f"file-{number}", "before")
    inside(caller, "for file in file-*; do echo after >$file; done")
    killed = caller.start("apply")
    while (caller.workspace / "file-0").read_text() == "before":
        pass
    killed.kill()
    killed.wait()
    assert {path.read_text() for path in caller.workspace.iterdir() if path.name.startswith("file")} <= {
        "before",
        "after\n",
    }
    if killed.returncode == -signal.SIGKILL:
        assert caller.outward("apply").returncode == 0
    assert {path.read_text() for path in caller.workspace.iterdir()} == {"after\n"}
    assert len(list(caller.workspace.iterdir())) == 200


def test_a_path_outside_the_workspace_is_refused(caller):
    inside(caller, "echo x >made")
    done = caller.outward("apply", "../made")
    assert done.returncode == 2
    assert "not in the workspace" in done.stderr
    done = caller.outward("apply", "other")
    assert "did not change other" in done.stderr
    assert not (caller.workspace / "made").exists()


@pytest.mark.parametrize("command", [("review", "2026"), ("apply", "20260101T000000-00000000"), ("discard", "x")])
def test_a_session_that_is_not_there_is_named(caller, command):
    done = caller.outward(*command)
    assert done.returncode == 2
    assert command[1] in done.stderr


FOREIGN = 61235


def foreign(caller: Caller) -> None:
    """Makes the workspace somebody else's, in which everybody may make files."""
    if os.geteuid() != 0 or caller.uid is not None:
        pytest.skip("only root works in the directories of others")
    for path in (caller.workspace, *caller.workspace.rglob("*")):
        os.chown(path, FOREIGN, FOREIGN, follow_symlinks=False)
    for path in (caller.root, caller.home):
        path.chmod(0o755)


def test_what_root_applies_belongs_to_whom_the_workspace_does(caller):
    caller.file(caller.workspace / "sub" / "kept", "one\n")
    inside(caller, "mkdir -p new/er; echo x >new/er/file; ln -s file new/link; echo two >sub/kept")
    foreign(caller)
    assert caller.outward("apply", "--overwrite").returncode == 0  # who it belongs to has changed since
    made = [caller.workspace / name for name in ("new", "new/er", "new/er/file", "sub/kept")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(FOREIGN, FOREIGN)}


def test_a_link_that_the_owner_puts_there_leads_root_nowhere(caller):
    target = caller.root / "target"
    target.mkdir(mode=0o700)
    caller.file(caller.workspace / "sub" / "file", "one\n")
    inside(caller, "echo two >sub/file; mkdir sub/new; echo x >sub/new/file; mkdir top; echo x >top/file")
    foreign(caller)
    (caller.workspace / "sub").rename(caller.workspace / "other")
    for name in ("sub", "top"):
        (caller.workspace / name).symlink_to(target)
    for options in ((), ("--overwrite",)):
        caller.outward("apply", *options)
        assert list(target.iterdir()) == []
        assert (caller.workspace / "other" / "file").read_text() == "one\n"
    assert (
        caller.workspace / "sub" / "file"
    ).read_text() == "two\n"  # in a directory of that name, instead of the link


def test_a_start_in_the_workspace_of_another_says_so(caller):
    foreign(caller)
    assert "belongs to another user (61235)" in caller.outward("run", "--mode", "review", "--", "true").stderr
    assert "belongs to another user" not in caller.outward("run", "--mode", "read", "--", "true").stderr
