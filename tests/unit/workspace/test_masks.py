from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from outward.workspace.masks import mask
from outward.workspace.overlay import is_whiteout


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in (".env", "a/b/server.key", "a/b/code.py", "c/code.py"):
        file = tmp_path / "work" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "layer").mkdir()
    return tmp_path / "work"


def whiteouts(layer: Path) -> set[str]:
    found = (Path(parent, name) for parent, _, names in os.walk(layer) for name in names)
    return {str(path.relative_to(layer)) for path in found if is_whiteout(path.lstat())}


def test_what_is_hidden_has_a_whiteout_and_nothing_else(workspace):
    layer = workspace.parent / "layer"
    mask(str(layer), str(workspace), [".env", "a/b/server.key"], ())
    assert whiteouts(layer) == {".env", "a/b/server.key"}
    assert not (layer / "c").exists()


def test_what_may_come_is_awaited_in_the_workspace_and_beside_what_is_hidden(workspace):
    layer = workspace.parent / "layer"
    mask(str(layer), str(workspace), ["a/b/server.key"], (".netrc", ".envrc"))
    assert whiteouts(layer) == {".netrc", ".envrc", "a/b/server.key", "a/b/.envrc"}


def test_what_is_there_and_shown_is_not_awaited(workspace):
    layer = workspace.parent / "layer"
    mask(str(layer), str(workspace), ["a/b/server.key"], (".env",))
    assert whiteouts(layer) == {"a/b/server.key", "a/b/.env"}


def test_directories_look_as_those_of_the_workspace(workspace):
    layer = workspace.parent / "layer"
    (workspace / "a" / "b").chmod(0o750)
    os.utime(workspace / "a", ns=(1, 2))
    mask(str(layer), str(workspace), ["a/b/server.key"], ())
    assert stat.S_IMODE((layer / "a" / "b").stat().st_mode) == 0o750
    assert (layer / "a").stat().st_mtime_ns == 2


def test_a_set_user_id_bit_is_not_taken_over(workspace):
    (workspace / "a").chmod(0o6755)
    mask(str(workspace.parent / "layer"), str(workspace), ["a/b/server.key"], ())
    assert stat.S_IMODE((workspace.parent / "layer" / "a").stat().st_mode) == 0o755
