"""What would take effect outside does not come into being in a workspace that the agent may write to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap", "git")

ROOT = (
    ".claude/settings.json",
    ".claude/commands/x.md",
    ".mcp.json",
    ".vscode/tasks.json",
    ".idea/x",
    ".devcontainer/x",
    ".codex/x",
    ".husky/x",
)
REPOSITORY = (".git/hooks/pre-commit", ".git/commondir", ".git/modules/x/config", ".git/config.worktree")
DEEP = (
    "sub/.claude/settings.json",
    "sub/.mcp.json",
    "a/b/.vscode/tasks.json",
    ".bashrc",
    "sub/.profile",
    ".gitmodules",
)


def repository(caller: Caller) -> None:
    caller.file(caller.workspace / "plain", "x")
    subprocess.run(["git", "init", "--quiet", caller.workspace], check=True)
    subprocess.run(["rm", "-r", caller.workspace / ".git" / "hooks"], check=True)
    for path in (caller.workspace, *caller.workspace.rglob("*")):
        if caller.uid is not None:
            os.chown(path, caller.uid, caller.uid)


def make(*names: str) -> str:
    return "; ".join(f"mkdir -p $(dirname {name}); echo evil >{name}" for name in names)


def tree(root: Path) -> set[str]:
    # What is being taken away meanwhile is no error to `os.walk`.
    found = [Path(place) / name for place, below, files in os.walk(root) for name in (*below, *files)]
    return {str(path.relative_to(root)) for path in found}


def settled(caller: Caller, before: set[str]) -> bool:
    """Whether the workspace becomes what it was: a session that was killed is cleaned up after by a process of its own."""
    for _ in range(200):
        if tree(caller.workspace) == before:
            return True
        time.sleep(0.05)
    return False


def test_it_cannot_be_made_where_it_takes_effect_at_once(caller):
    repository(caller)
    before = tree(caller.workspace)
    done = caller.inside(make(*ROOT, *REPOSITORY))
    for name in (*ROOT, *REPOSITORY):
        it, above = (re.escape(str(path)) for path in (Path(name), Path(name).parent))
        reason = "(Read-only file system|Is a directory)"
        assert re.search(f"cannot create ({it}|directory .{above}.): {reason}", done.stderr), name
    assert tree(caller.workspace) == before


def test_it_can_where_the_policy_allows_it(caller):
    """What the protection is against: without it, the file is there."""
    repository(caller)
    text = 'version: 1\nworkspace: {allow_write: [".vscode/**", .git/hooks, .mcp.json, "**/.claude"]}\n'
    policy = caller.file(caller.home / "policy.yaml", text)
    names = (".vscode/tasks.json", ".git/hooks/pre-commit", ".mcp.json", "sub/.claude/settings.json")
    caller.inside(make(*names), "--policy", str(policy))
    assert [(caller.workspace / name).read_text() for name in names] == ["evil\n"] * len(names)


def test_what_exists_can_be_written_where_the_policy_allows_it(caller):
    caller.file(caller.workspace / ".vscode" / "tasks.json", "{}")
    policy = caller.file(caller.home / "policy.yaml", 'version: 1\nworkspace: {allow_write: [".vscode"]}\n')
    assert caller.inside("echo evil >.vscode/tasks.json").returncode != 0
    assert caller.inside("echo good >.vscode/tasks.json", "--policy", str(policy)).returncode == 0


def test_elsewhere_it_is_renamed_when_the_session_is_over(caller):
    repository(caller)
    done = caller.outward("run", "--", "sh", "-c", make(*DEEP))
    assert done.returncode == 0, done.stderr
    assert not [name for name in DEEP if (caller.workspace / name).exists()]
    assert (caller.workspace / "sub" / ".claude.set-aside" / "settings.json").read_text() == "evil\n"
    assert f"{caller.workspace}/sub/.mcp.json: now .mcp.json.set-aside" in done.stderr


def test_the_agent_works_with_git_as_ever(caller):
    repository(caller)
    line = (
        "git config --global user.email a@b; git config --global user.name n; git status --short;"
        "git add -A; git commit -qm one; git log --format=%s; git show --stat --format= HEAD; git init -q new"
    )
    done = caller.inside(line)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "?? plain\none\n plain | 1 +\n 1 file changed, 1 insertion(+)\n"
    assert (caller.workspace / "new" / ".git" / "config").exists()


def test_a_new_repository_that_would_run_something_is_disarmed(caller):
    caller.inside("git init -q new; git -C new config core.fsmonitor ./evil; echo x >new/.git/hooks/post-checkout")
    assert (caller.workspace / "new" / ".git" / "config.set-aside").exists()
    assert not (caller.workspace / "new" / ".git" / "config").exists()
    assert not (caller.workspace / "new" / ".git" / "hooks").exists()


def test_the_settings_of_a_working_tree_elsewhere_stay(caller):
    repository(caller)
    place = caller.file(caller.workspace / ".git" / "worktrees" / "other" / "commondir", "../..\n")
    assert caller.inside("echo ../../../evil >.git/worktrees/other/commondir").returncode != 0
    assert place.read_text() == "../..\n"


def test_a_link_that_leads_to_settings_cannot_be_turned(caller):
    caller.file(caller.workspace / "shared" / "tasks.json", "{}")
    (caller.workspace / ".vscode").symlink_to("shared")
    assert caller.inside("echo evil >.vscode/tasks.json").returncode != 0
    caller.inside("rm .vscode; mkdir .vscode; echo evil >.vscode/tasks.json")
    assert not (caller.workspace / ".vscode").exists()


def test_a_directory_above_cannot_be_exchanged_for_another(caller):
    caller.file(caller.workspace / "sub" / ".vscode" / "tasks.json", "{}")
    done = caller.inside("mv sub other && mkdir -p sub/.vscode && echo made; echo evil >sub/.vscode/tasks.json")
    assert done.stdout == "made\n", done.stderr
    assert not (caller.workspace / "sub" / ".vscode").exists()
    assert (caller.workspace / "sub" / ".vscode.set-aside").is_dir()  # empty, if it was made read-only in time


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_it_when_the_session_is_killed(caller, number):
    repository(caller)
    before = tree(caller.workspace)
    process = caller.start("run", "--", "sh", "-c", f"{make(*DEEP)}; touch ~/ready; sleep 60")
    caller.await_inside(process, "ready")
    assert (caller.workspace / ".vscode").is_dir()
    process.send_signal(number)
    process.wait()
    after = {
        f"{name}.set-aside"
        for name in (".bashrc", ".gitmodules", "sub/.mcp.json", "sub/.profile", "a/b/.vscode", "sub/.claude")
    }
    inner = {"a/b/.vscode.set-aside/tasks.json", "sub/.claude.set-aside/settings.json"}
    assert settled(caller, before | after | inner | {"sub", "a", "a/b"})


def test_what_a_person_puts_there_meanwhile_stays(caller):
    process = caller.start(
        "run", "--", "sh", "-c", "touch ~/ready; until test -e ~/go; do sleep 0.05; done; cat .vscode/mine"
    )
    home = caller.await_inside(process, "ready")
    caller.file(caller.workspace / ".vscode" / "mine", "mine\n", 0o644)
    caller.file(home / "go", "")
    process.communicate(timeout=60)
    assert (caller.workspace / ".vscode" / "mine").read_text() == "mine\n"


def test_of_two_sessions_the_last_takes_it_away(caller):
    line = "touch ~/ready-{0}; until test -e ~/go-{0}; do sleep 0.05; done; echo evil >.vscode/tasks.json"
    processes, home = [], caller.home
    for number in (1, 2):
        processes.append(caller.start("run", "--", "sh", "-c", line.format(number)))
        home = caller.await_inside(processes[-1], f"ready-{number}")
    for number, process in zip((1, 2), processes, strict=True):
        assert (caller.workspace / ".vscode").is_dir()
        caller.file(home / f"go-{number}", "")
        assert "Read-only file system" in process.communicate(timeout=60)[1]
    assert tree(caller.workspace) == set()


def test_what_a_session_that_was_lost_left_is_taken_away_by_the_next(caller):
    caller.inside("true")
    (record,) = (caller.state / "guards").iterdir()
    (caller.workspace / ".vscode").mkdir()
    (caller.workspace / ".idea").mkdir()
    record.write_text(f'["{caller.workspace}", ".vscode", null]\n')
    caller.own(record)
    caller.own(caller.workspace / ".vscode")
    caller.inside("true")
    assert tree(caller.workspace) == {".idea"}
