from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from outward.core import HostError
from outward.workspace import Exposure, Hidden, View, Wanted, plan


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    (path / "project").mkdir(parents=True)
    return path


def wanted(home: Path, **changes: object) -> Wanted:
    values: dict[str, object] = {
        "workspace": home / "project",
        "mode": "write",
        "home": home,
        "search_path": "/usr/bin:/bin",
        "system": ("/usr", "/bin"),
    }
    return Wanted(**(values | changes))  # type: ignore[arg-type]


def view(home: Path, **changes: object) -> View:
    return plan(wanted(home, **changes))


@pytest.mark.parametrize(("mode", "writable"), [("write", True), ("read", False)])
def test_the_workspace_is_shown_at_its_own_place(home, mode, writable):
    assert view(home, mode=mode).exposures == (Exposure(str(home / "project"), writable),)


def test_in_review_nothing_of_the_workspace_is_shown_past_the_layer(home):
    """A backend whose daemon mounts would show the workspace's own directory, to be written to."""
    subprocess.run(["git", "init", "--quiet", home / "project"], check=True)
    assert [each.path for each in view(home, mode="write").exposures] == [
        str(home / "project"),
        str(home / "project/.git"),
    ]
    assert view(home, mode="review").exposures == (Exposure(str(home / "project"), writable=True),)


def test_in_review_the_agent_may_write_since_a_layer_takes_it(home):
    assert view(home, mode="review").exposures == (Exposure(str(home / "project"), writable=True),)


def test_names_are_awaited_unless_the_policy_may_show_them(home):
    assert {".env", ".netrc", ".ssh"} <= set(view(home).awaited)
    assert ".env" not in view(home, show=("conf/.env",)).awaited
    assert not [name for name in view(home).awaited if "*" in name or "/" in name]


@pytest.mark.parametrize(
    "workspace", ["/", "/etc", "/usr/share", "/proc/self", "/dev", "/run", "/sys/kernel", "/tmp", "/bin"]
)
def test_dangerous_workspaces_are_refused(home, workspace):
    with pytest.raises(HostError, match="cannot be shown"):
        view(home, workspace=Path(workspace))


def test_the_home_and_what_holds_it_are_refused(home):
    for path in (home, home.parent):
        with pytest.raises(HostError, match="home directory"):
            view(home, workspace=path)


def test_a_link_to_the_home_is_refused(home):
    (home / "project" / "innocent").symlink_to(home)
    with pytest.raises(HostError, match="home directory"):
        view(home, workspace=home / "project" / "innocent")


@pytest.mark.parametrize("field", ["write", "read"])
@pytest.mark.parametrize("path", ["/", "/run", "/proc"])
def test_further_paths_are_refused_likewise(home, field, path):
    with pytest.raises(HostError, match="cannot be shown"):
        view(home, **{field: (Path(path),)})


def test_outward_s_own_files_are_never_a_workspace(home):
    state = home / "state"
    (state / "homes").mkdir(parents=True)
    for path in (state, state / "homes"):
        with pytest.raises(HostError, match="own files"):
            view(home, workspace=path, concealed=(state,))


def test_a_state_directory_in_the_workspace_is_hidden_and_cannot_be_renamed(home):
    state = home / "project" / "a" / "b" / "state"
    state.mkdir(parents=True)
    seen = view(home, concealed=(state,))
    assert seen.hidden == (Hidden(str(state), directory=True),)
    pinned = {exposure.path for exposure in seen.exposures if exposure.writable}
    assert pinned == {str(home / "project"), str(home / "project/a"), str(home / "project/a/b")}


def test_a_policy_in_the_workspace_is_hidden(home):
    policy = home / "project" / "policy.yaml"
    policy.write_text("version: 1")
    assert view(home, concealed=(policy,)).hidden == (Hidden(str(policy), directory=False),)


def test_a_policy_that_is_a_link_which_the_agent_could_replace_is_refused(home):
    (home / "policy.yaml").write_text("version: 1")
    link = home / "project" / "policy.yaml"
    link.symlink_to("../policy.yaml")
    with pytest.raises(HostError, match="replace"):
        view(home, concealed=(link,))
    assert view(home, mode="read", concealed=(link,)).hidden == ()


def test_what_is_hidden_but_not_there_is_not_left_for_the_agent_to_make(home):
    missing = home / "project" / "clusters.yaml"
    with pytest.raises(HostError, match="could make one"):
        view(home, concealed=(missing,))
    assert view(home, mode="read", concealed=(missing,)).hidden == ()
    assert view(home, concealed=(home / "elsewhere.yaml",)).hidden == ()


def test_parents_come_before_what_lies_in_them(home):
    inner, outer = home / "data" / "inner", home / "data"
    inner.mkdir(parents=True)
    seen = view(home, read=(inner,), write=(outer,))
    assert seen.exposures.index(Exposure(str(outer), writable=True)) < seen.exposures.index(
        Exposure(str(inner), writable=False)
    )


def test_pinning_never_makes_something_writable_in_a_read_only_part(home):
    """A repository in a path that is read-only although it lies in the workspace stays read-only."""
    vendor = home / "project" / "vendor"
    (vendor / ".git").mkdir(parents=True)
    (vendor / ".git" / "config").write_text("")
    seen = view(home, read=(vendor,))
    assert Exposure(str(vendor), writable=False) in seen.exposures
    assert [exposure.path for exposure in seen.exposures if exposure.writable] == [str(home / "project")]


def test_the_hide_list_applies_in_further_paths(home):
    (home / "lib").mkdir()
    (home / "lib" / ".env").write_text("x")
    assert view(home, read=(home / "lib",)).hidden == (Hidden(str(home / "lib/.env"), directory=False),)


def test_tool_chains_can_be_left_out(home):
    tool = home / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("x")
    tool.chmod(0o755)
    assert view(home, search_path=str(tool.parent)).find("tool") == str(tool)
    assert view(home, search_path=str(tool.parent), tools="system").find("tool") is None


class TestFind:
    def test_programs_of_the_system_are_found(self, home):
        assert view(home).find("sh") is not None

    def test_what_is_only_outside_is_not_found(self, home):
        outside = home / "elsewhere" / "tool"
        outside.parent.mkdir()
        outside.write_text("x")
        outside.chmod(0o755)
        (home / "project" / "link").symlink_to(outside)
        seen = view(home)
        assert seen.find(str(outside)) is None
        assert seen.find("./link") is None

    def test_hidden_files_are_not_found(self, home):
        secret = home / "project" / ".env"
        secret.write_text("#!/bin/sh\n")
        secret.chmod(0o755)
        assert view(home).find("./.env") is None

    def test_a_program_of_the_workspace_is_found(self, home):
        script = home / "project" / "run"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        seen = view(home)
        assert seen.find("./run") == str(script)
        assert seen.obstacle(str(script)) == ""

    def test_what_is_not_executable_says_so(self, home):
        script = home / "project" / "run"
        script.write_text("#!/bin/sh\n")
        seen = view(home)
        assert seen.find("./run") == str(script)
        assert "not executable" in seen.obstacle(str(script))

    def test_an_interpreter_that_is_not_there_is_named(self, home):
        script = home / "project" / "run"
        script.write_text(f"#!{home}/private/python\n")
        script.chmod(0o755)
        assert f"{home}/private/python" in view(home).obstacle(str(script))
