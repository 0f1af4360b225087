"""Layers made by hand, as the kernel makes them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from outward.workspace.applying import Applied, Chosen, apply
from outward.workspace.changes import Change, Kind, changes
from outward.workspace.difference import differences
from outward.workspace.kept import Masked
from outward.workspace.layer import Layer, create


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def write(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def start(workspace: Path, *masked: str) -> tuple[Layer, Path]:
    """A layer that begins after everything that is there."""
    layer = create(workspace.parent / "layers", "one", str(workspace), "agent", ["sh"], Masked(masked, ()))
    layer = layer._replace(started=layer.started + 1_000_000_000)
    return layer, Path(layer.upper)


def whiteout(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))


def opaque(path: Path) -> None:
    path.mkdir(parents=True)
    os.setxattr(path, "user.overlay.opaque", b"y")


def kinds(layer: Layer) -> dict[str, str]:
    return {change.path: change.kind.value for change in changes(layer)}


def change_of(layer: Layer, path: str) -> Change:
    (change,) = (change for change in changes(layer) if change.path == path)
    return change


def run(layer: Layer, *paths: str, suspicious: bool = False, overwrite: bool = False) -> dict[str, str]:
    """What was left, and why."""
    results: list[Applied] = list(apply(layer, changes(layer), Chosen(paths, suspicious, overwrite)))
    return {result.change.path: result.left for result in results if result.left}


def change_later(path: Path, layer: Layer, text: str = "theirs") -> Layer:
    """The person changes a file after the session began."""
    write(path, text)
    return layer._replace(started=path.stat().st_ctime_ns)


class TestWhatIsFound:
    def test_every_kind(self, workspace):
        for name in ("same", "changed", "gone", "mode", "to-link", "to-directory"):
            write(workspace / name, "before")
        write(workspace / "to-file" / "inner", "before")
        layer, upper = start(workspace)
        write(upper / "same", "before")
        write(upper / "changed", "after!")
        whiteout(upper / "gone")
        write(upper / "mode", "before", 0o600)
        (upper / "to-link").symlink_to("changed")
        (upper / "to-directory").mkdir()
        write(upper / "to-file", "after")
        write(upper / "new" / "file", "after")
        assert kinds(layer) == {
            "changed": "modified",
            "gone": "deleted",
            "mode": "mode",
            "to-link": "type",
            "to-directory": "type",
            "to-file": "type",
            "to-file/inner": "deleted",
            "new": "added",
            "new/file": "added",
        }

    def test_an_opaque_directory_is_compared_file_by_file(self, workspace):
        for name in ("d/same", "d/changed", "d/gone", "d/sub/gone"):
            write(workspace / name, "before")
        layer, upper = start(workspace)
        opaque(upper / "d")
        write(upper / "d" / "same", "before")
        write(upper / "d" / "changed", "after")
        assert kinds(layer) == {
            "d/changed": "modified",
            "d/gone": "deleted",
            "d/sub": "deleted",
            "d/sub/gone": "deleted",
        }

    def test_what_is_in_an_opaque_directory_is_so_too(self, workspace):
        write(workspace / "d" / "sub" / "gone", "before")
        layer, upper = start(workspace)
        opaque(upper / "d")
        (upper / "d" / "sub").mkdir()  # the kernel marks only the uppermost
        assert kinds(layer) == {"d/sub/gone": "deleted"}

    def test_a_directory_that_is_not_opaque_shows_what_is_below(self, workspace):
        write(workspace / "d" / "file")
        layer, upper = start(workspace)
        (upper / "d").mkdir()
        assert kinds(layer) == {}

    def test_a_deleted_directory_is_everything_in_it(self, workspace):
        write(workspace / "d" / "sub" / "file")
        layer, upper = start(workspace)
        whiteout(upper / "d")
        assert kinds(layer) == dict.fromkeys(("d", "d/sub", "d/sub/file"), "deleted")

    def test_nothing_is_read_over_a_link_of_the_workspace(self, workspace):
        """The workspace's directory has become a link to elsewhere: what is there is none of its files."""
        write(workspace.parent / "elsewhere" / "file", "secret")
        (workspace / "d").symlink_to(workspace.parent / "elsewhere")
        layer, upper = start(workspace)
        write(upper / "d" / "file", "secret")
        assert kinds(layer) == {"d": "type", "d/file": "added"}


class TestConflicts:
    def test_a_file_that_was_changed_since_is_left(self, workspace):
        write(workspace / "file", "before")
        layer, upper = start(workspace)
        write(upper / "file", "after")
        assert change_of(layer, "file").conflict == ""
        layer = change_later(workspace / "file", layer)
        assert "changed since" in run(layer)["file"]
        assert "changed since" in run(layer, "file")["file"]
        assert (workspace / "file").read_text() == "theirs"
        assert run(layer, overwrite=True) == {}
        assert (workspace / "file").read_text() == "after"

    def test_a_deleted_file_that_was_changed_since_is_left_with_its_directory(self, workspace):
        write(workspace / "d" / "file", "before")
        write(workspace / "d" / "other", "before")
        layer, upper = start(workspace)
        whiteout(upper / "d")
        layer = change_later(workspace / "d" / "file", layer)
        left = run(layer)
        assert set(left) == {"d", "d/file"}
        assert not (workspace / "d" / "other").exists()

    def test_a_file_that_was_created_since_is_left(self, workspace):
        layer, upper = start(workspace)
        write(upper / "file", "after")
        layer = change_later(workspace / "file", layer)
        assert set(run(layer)) == {"file"}

    def test_the_same_change_on_both_sides_is_none(self, workspace):
        layer, upper = start(workspace)
        write(upper / "file", "theirs")
        layer = change_later(workspace / "file", layer)
        assert kinds(layer) == {}

    def test_a_copied_file_that_was_deleted_since_is_left(self, workspace):
        layer, upper = start(workspace)
        write(upper / "copied", "after")
        write(upper / "new", "after")
        os.setxattr(upper / "copied", "user.overlay.origin", b"\0\1")
        assert set(run(layer)) == {"copied"}
        assert (workspace / "new").exists()

    def test_what_was_hidden_is_overwritten_only_if_it_is_named(self, workspace):
        write(workspace / ".env", "SECRET=1")
        layer, upper = start(workspace, ".env")
        write(upper / ".env", "MINE=1")
        assert "hidden" in run(layer)[".env"]
        assert "hidden" in run(layer, ".env")[".env"]
        assert "hidden" in run(layer, overwrite=True)[".env"]
        assert (workspace / ".env").read_text() == "SECRET=1"
        assert run(layer, ".env", overwrite=True) == {}
        assert (workspace / ".env").read_text() == "MINE=1"

    def test_what_was_hidden_is_never_deleted(self, workspace):
        write(workspace / "conf" / ".env", "SECRET=1")
        write(workspace / "conf" / "plain", "x")
        layer, upper = start(workspace, "conf/.env")
        whiteout(upper / "conf")
        left = run(layer, "conf", overwrite=True)
        assert set(left) == {"conf"}
        assert [path.name for path in (workspace / "conf").iterdir()] == [".env"]

    def test_below_a_hidden_directory_nothing_is_written(self, workspace):
        write(workspace / ".ssh" / "config", "theirs")
        layer, upper = start(workspace, ".ssh")
        write(upper / ".ssh" / "config", "mine")
        assert "hidden" in run(layer)[".ssh/config"]

    def test_what_was_hidden_is_not_shown_either(self, workspace):
        write(workspace / ".env", "SECRET=1")
        layer, upper = start(workspace, ".env")
        write(upper / ".env", "MINE=1")
        (difference,) = differences(layer, changes(layer))
        assert difference.lines == ()


class TestApplying:
    def test_everything_comes_over_with_its_modes_and_times(self, workspace):
        write(workspace / "gone" / "deep" / "file")
        write(workspace / "to-file" / "inner")
        write(workspace / "to-directory")
        layer, upper = start(workspace)
        os.utime(write(upper / "new" / "file", "text", 0o640), ns=(1, 1_000_000_001))
        (upper / "new").chmod(0o750)
        (upper / "link").symlink_to("new/file")
        whiteout(upper / "gone")
        write(upper / "to-file", "now a file")
        write(upper / "to-directory" / "inner", "now a directory")
        assert run(layer) == {}
        assert kinds(layer) == {}
        status = (workspace / "new" / "file").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, 1_000_000_001)
        assert stat.S_IMODE((workspace / "new").stat().st_mode) == 0o750
        assert (workspace / "link").readlink() == Path("new/file")
        assert (workspace / "to-file").read_text() == "now a file"
        assert (workspace / "to-directory" / "inner").exists()
        assert {path.name for path in workspace.iterdir()} == {"new", "link", "to-file", "to-directory"}

    def test_only_what_is_chosen(self, workspace):
        layer, upper = start(workspace)
        for name in ("a/one", "a/two", "ab", "b"):
            write(upper / name, "text")
        run(layer, "a/one", "b")
        assert sorted(kinds(layer)) == ["a/two", "ab"]

    def test_nothing_is_written_over_a_link(self, workspace):
        outside = workspace.parent / "outside"
        outside.mkdir()
        write(workspace / "d" / "file", "before")
        layer, upper = start(workspace)
        write(upper / "d" / "file", "after")
        found = changes(layer)
        (workspace / "d" / "file").unlink()
        (workspace / "d").rmdir()
        (workspace / "d").symlink_to(outside)
        (result,) = apply(layer, found, Chosen())
        assert result.left
        assert list(outside.iterdir()) == []

    def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(self, workspace):
        outside = write(workspace.parent / "outside", "theirs")
        (workspace / "file").symlink_to(outside)
        layer, upper = start(workspace)
        write(upper / "file", "after")
        assert run(layer) == {}
        assert outside.read_text() == "theirs"
        assert not (workspace / "file").is_symlink()

    def test_a_file_that_changes_between_the_look_and_the_write_is_left(self, workspace):
        write(workspace / "file", "before")
        layer, upper = start(workspace)
        write(upper / "file", "after")
        found = changes(layer)
        write(workspace / "file", "theirs, just now")
        (result,) = apply(layer, found, Chosen())
        assert "just now" in result.left
        assert (workspace / "file").read_text() == "theirs, just now"

    def test_what_was_interrupted_goes_on(self, workspace):
        for name in ("a", "b", "c"):
            write(workspace / name, "before")
        layer, upper = start(workspace)
        for name in ("a", "b", "c"):
            write(upper / name, "after")
        steps = apply(layer, changes(layer), Chosen())
        next(steps)
        write(workspace / ".outward-one", "half of a file")  # as a process that was killed leaves it
        assert sorted(kinds(layer)) == ["b", "c"]
        assert run(layer) == {}
        assert {path.name: path.read_text() for path in workspace.iterdir()} == dict.fromkeys("abc", "after")

    def test_no_set_user_id_bit_comes_out_and_none_of_a_directory_is_lost(self, workspace):
        (workspace / "shared").mkdir()
        (workspace / "shared").chmod(0o2755)
        layer, upper = start(workspace)
        write(upper / "tool", "text").chmod(0o6644)
        (upper / "shared").mkdir()
        (upper / "shared").chmod(0o750)
        run(layer)
        assert stat.S_IMODE((workspace / "tool").stat().st_mode) == 0o644
        assert stat.S_IMODE((workspace / "shared").stat().st_mode) == 0o2750

    def test_pipes_are_not_applied(self, workspace):
        layer, upper = start(workspace)
        os.mkfifo(upper / "pipe")
        assert "no file" in run(layer, "pipe", suspicious=True)["pipe"]

    def test_git_s_objects_come_before_what_names_them(self, workspace):
        layer, upper = start(workspace)
        names = ("z.py", ".git/HEAD", ".git/objects/aa/bb", ".git/refs/heads/main")
        for name in names:
            write(upper / name, "text")
        order = [each.change.path for each in apply(layer, changes(layer), Chosen()) if each.change.type == "file"]
        assert order == [".git/objects/aa/bb", "z.py", ".git/HEAD", ".git/refs/heads/main"]


class TestSuspicious:
    @pytest.mark.parametrize(
        "path",
        [
            ".git/hooks/pre-commit",
            "vendor/lib/.git/config",
            "sub/.git",
            ".git/commondir",
            ".github/workflows/ci.yml",
            "sub/.claude/settings.local.json",
            ".mcp.json",
            "CLAUDE.md",
            ".VSCode/tasks.json",
            ".envrc",
            ".gitattributes",
            ".devcontainer/devcontainer.json",
            ".bashrc",
            ".cargo/config.toml",
            "lib/sitecustomize.py",
        ],
    )
    def test_it_is_applied_only_by_its_name(self, workspace, path):
        layer, upper = start(workspace)
        write(upper / path, "text")
        above = path.rpartition("/")[0]
        assert path in run(layer)
        if above:
            assert path in run(layer, above)
        assert not (workspace / path).exists()
        assert run(layer, path) == {}
        assert (workspace / path).exists()

    def test_or_if_all_such_are_wanted(self, workspace):
        layer, upper = start(workspace)
        write(upper / ".envrc", "text")
        assert run(layer, suspicious=True) == {}

    @pytest.mark.parametrize(
        "path", ["src/main.py", "README.md", "docs/git/config", ".git/hooks/pre-commit.sample", "Makefile"]
    )
    def test_code_is_not(self, workspace, path):
        layer, upper = start(workspace)
        write(upper / path, "text")
        assert run(layer) == {}

    def test_what_becomes_executable_is(self, workspace):
        write(workspace / "was", "text", 0o755)
        layer, upper = start(workspace)
        write(upper / "was", "other", 0o755)
        write(upper / "becomes", "text", 0o755)
        assert list(run(layer)) == ["becomes"]

    @pytest.mark.parametrize(
        ("path", "target", "leaves"),
        [
            ("link", "/etc/passwd", True),
            ("link", "../other", True),
            ("a/link", "../file", False),
            ("a/link", "../../file", True),
            ("a/link", "b/../../../x", True),
            ("link", "a/../b", False),
            ("link", "./.", False),
        ],
    )
    def test_links_that_lead_out_are(self, workspace, path, target, leaves):
        layer, upper = start(workspace)
        (upper / path).parent.mkdir(parents=True, exist_ok=True)
        (upper / path).symlink_to(target)
        assert (path in run(layer)) is leaves

    def test_deleting_a_hook_is_too(self, workspace):
        write(workspace / ".husky" / "pre-push", "check")
        layer, upper = start(workspace)
        whiteout(upper / ".husky" / "pre-push")
        assert ".husky/pre-push" in run(layer)


def test_the_difference_of_texts_links_and_others(workspace):
    write(workspace / "text", "one\ntwo\n")
    layer, upper = start(workspace)
    write(upper / "text", "one\n2")
    (upper / "link").symlink_to("text")
    (upper / "binary").write_bytes(b"\0\1")
    write(upper / "large", "x" * (1 << 18) + "x")
    found = {difference.change.path: difference for difference in differences(layer, changes(layer))}
    assert found["text"].lines[2:] == ("@@ -1,2 +1,3 @@", " one", "-two", "+2", "+\\ No newline at end of file")
    assert found["link"].lines[-1] == "+symbolic link to text"
    assert (found["binary"].note, found["large"].note) == ("binary", "too large to show")


def test_a_change_of_a_mode_alone_is_no_text(workspace):
    write(workspace / "file", "text", 0o644)
    layer, upper = start(workspace)
    write(upper / "file", "text", 0o600)
    assert change_of(layer, "file").kind is Kind.MODE
    assert list(differences(layer, changes(layer))) == []
    run(layer)
    assert stat.S_IMODE((workspace / "file").stat().st_mode) == 0o600
