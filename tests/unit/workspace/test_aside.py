from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from outward.workspace.aside import identified, inert_settings, new_fixed, set_aside
from outward.workspace.patterns import Globs

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


def new(root: Path, *known: str, allowed: tuple[str, ...] = ()) -> set[str]:
    return set(new_fixed(str(root), {identified(str(root / name)) for name in known}, Globs(allowed)))


def test_what_would_take_effect_is_found_at_any_depth(tmp_path):
    write(tmp_path, ".vscode/tasks.json", "a/b/.mcp.json", "a/.claude/settings.json", "a/.bashrc", "a/plain")
    assert new(tmp_path) == {".vscode", "a/b/.mcp.json", "a/.claude", "a/.bashrc"}


def test_what_was_there_is_not_new(tmp_path):
    write(tmp_path, ".vscode/tasks.json", "a/.vscode/tasks.json")
    assert new(tmp_path, ".vscode") == {"a/.vscode"}


def test_what_the_policy_allows_is_not_meant(tmp_path):
    write(tmp_path, ".vscode/tasks.json", "a/.vscode/tasks.json", ".idea/x")
    assert new(tmp_path, allowed=("a/.vscode/**", ".idea")) == {".vscode"}


def test_a_link_is_known_by_where_it_leads(tmp_path):
    (tmp_path / ".vscode").symlink_to("elsewhere")
    known = {identified(str(tmp_path / ".vscode"))}
    assert list(new_fixed(str(tmp_path), known, Globs(()))) == []
    (tmp_path / ".vscode").unlink()
    (tmp_path / ".vscode").symlink_to("evil")
    assert list(new_fixed(str(tmp_path), known, Globs(()))) == [".vscode"]


def test_another_directory_of_the_same_name_is_another(tmp_path):
    write(tmp_path, "a/.vscode/tasks.json")
    known = {identified(str(tmp_path / "a" / ".vscode"))}
    (tmp_path / "a").rename(tmp_path / "b")
    write(tmp_path, "a/.vscode/tasks.json")
    assert set(new_fixed(str(tmp_path), known, Globs(()))) == {"a/.vscode", "b/.vscode"}


def test_links_are_not_followed(tmp_path):
    write(tmp_path / "outside", ".vscode/tasks.json")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "outside")
    assert new(tmp_path / "work") == set()


class TestRepositories:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        subprocess.run(["git", "init", "--quiet", tmp_path / "new"], check=True)
        return tmp_path / "new"

    def test_a_plain_new_one_does_nothing(self, tmp_path, repository):
        assert new(tmp_path) == set()

    def test_a_clone_does_nothing_either(self, tmp_path, repository):
        subprocess.run(["git", "clone", "--quiet", repository, tmp_path / "clone"], check=True, capture_output=True)
        assert new(tmp_path) == set()
        config = tmp_path / "clone" / ".git" / "config"
        config.write_text(config.read_text().replace(str(repository), "ext::evil"))
        assert new(tmp_path) == {"clone/.git/config"}

    def test_a_directory_that_git_takes_for_one_is_one(self, tmp_path):
        subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "docs"], check=True)
        assert new(tmp_path) == set()
        subprocess.run(["git", "-C", tmp_path / "docs", "config", "core.fsmonitor", "evil"], check=True)
        assert new(tmp_path) == {"docs/config"}
        assert new(tmp_path, "docs/config") == set()

    def test_one_that_has_its_parts_elsewhere_is_one_too(self, tmp_path):
        write(tmp_path, "docs/HEAD", "docs/commondir")
        assert new(tmp_path) == {"docs/commondir"}

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("hooks/pre-commit", "hooks"),
            ("commondir", "commondir"),
            ("config.worktree", "config.worktree"),
            ("info/attributes", "info/attributes"),
            ("modules/a/config", "modules"),
        ],
    )
    def test_what_git_would_run_or_obey_is_found(self, tmp_path, repository, name, found):
        write(repository / ".git", name)
        assert new(tmp_path) == {f"new/.git/{found}"}

    def test_a_setting_that_runs_a_program_is_found(self, tmp_path, repository):
        subprocess.run(["git", "-C", repository, "config", "core.fsmonitor", "evil"], check=True)
        assert new(tmp_path) == {"new/.git/config"}

    def test_a_pointer_to_another_is_found(self, tmp_path):
        write(tmp_path, "sub/.git")
        assert new(tmp_path) == {"sub/.git"}

    def test_hooks_that_are_a_link_are_found(self, tmp_path, repository):
        subprocess.run(["rm", "-r", repository / ".git" / "hooks"], check=True)
        (repository / ".git" / "hooks").symlink_to("../tools")
        assert new(tmp_path) == {"new/.git/hooks"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n; at all\n",
        '[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote "origin"]\n\turl = https://git.example/a.git\n',
        "[user] name = Somebody\n",
        '[branch "a.b"]\n\tmerge = refs/heads/a\n',
    ],
)
def test_settings_that_do_nothing(text):
    assert inert_settings(text)


@pytest.mark.parametrize(
    "text",
    [
        "[core]\n\tfsmonitor = evil\n",
        "[core] fsmonitor = evil\n",
        "[core]fsmonitor=evil",
        "[CORE]\n\tFSMonitor = evil\n",
        "[core]\n\thooksPath = evil\n",
        "[core]\n\tworktree = /\n",
        "[include]\n\tpath = evil\n",
        '[includeIf "gitdir:/"]\n\tpath = evil\n',
        "[alias]\n\tstatus = !evil\n",
        '[filter "x"]\n\tsmudge = evil\n',
        '[remote "origin"]\n\turl = ext::sh -c evil\n',
        '[remote "origin"]\n\turl = -x\n',
        '[remote "origin"]\n\tuploadpack = evil\n',
        "[core]\n\tbare = false \\\n\tfsmonitor = evil\n",
        '[user]\n\tname = "a\n[core]\n\tfsmonitor = evil"\n',
        "[core]\n\tbare = false\r\tfsmonitor = evil\n[core]\n\teditor = x",
        "\ufeff[core]\n\tbare = false\n",
        "[core\n]\n\tbare = false\n",
        "[extensions]\n\tworktreeConfig = true\n",
        "[credential]\n\thelper = !evil\n",
    ],
)
def test_settings_that_may_do_something(text):
    assert not inert_settings(text)


def test_what_cannot_be_read_may_do_something():
    assert not inert_settings(None)


class TestSettingAside:
    def test_nothing_is_overwritten(self, tmp_path):
        write(tmp_path, "a/.envrc", "a/.envrc.set-aside")
        assert set_aside(str(tmp_path), "a/.envrc") == ".envrc.set-aside-2"
        assert {path.name for path in (tmp_path / "a").iterdir()} == {".envrc.set-aside", ".envrc.set-aside-2"}

    def test_nothing_is_reached_over_a_link(self, tmp_path):
        write(tmp_path / "outside", ".vscode")
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "a").symlink_to(tmp_path / "outside")
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            set_aside(str(tmp_path / "work"), "a/.vscode")
