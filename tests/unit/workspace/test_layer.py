from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from outward.core import HostError, OutwardError
from outward.workspace.kept import Masked
from outward.workspace.layer import Layer, create, find
from outward.workspace.overlay import Overlay


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def new(workspace: Path, session: str = "one", masked: tuple[str, ...] = ()) -> Layer:
    return create(workspace.parent / "layers", session, str(workspace), "agent", ["sh"], Masked(masked, ()))


def test_a_layer_is_found_as_it_was_made(workspace):
    first, second = new(workspace), new(workspace, "two", (".env",))
    assert find(workspace.parent / "layers") == [first, second]
    assert second.session == "two"
    assert second.empty


def test_it_looks_like_the_workspace(workspace):
    workspace.chmod(0o750)
    os.utime(workspace, ns=(5, 6))
    status = Path(new(workspace).upper).stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o750, 6)


def test_nothing_that_changes_later_is_older(workspace):
    layer = new(workspace)
    (workspace / "file").touch()
    assert (workspace / "file").stat().st_ctime_ns >= layer.started


def test_one_that_was_not_completed_is_none(workspace):
    layer = new(workspace)
    (layer.directory / "session.json").unlink()
    assert find(layer.directory.parent) == []


def test_a_damaged_record_says_where_the_files_are(workspace):
    layer = new(workspace)
    (layer.directory / "session.json").write_text(json.dumps({"workspace": str(workspace)}))
    with pytest.raises(HostError, match="damaged") as raised:
        find(layer.directory.parent)
    assert layer.upper in raised.value.hint


def test_it_belongs_to_one_at_a_time(workspace):
    layer = new(workspace)
    with layer.locked():
        assert layer.running
        with pytest.raises(OutwardError, match="still running"), layer.locked():
            pass
    assert not layer.running


def test_one_that_is_gone_says_so(workspace):
    layer = new(workspace)
    layer.discard()
    assert not layer.directory.exists()
    with pytest.raises(OutwardError, match="gone"), layer.locked():
        pass


def test_whatever_an_agent_built_can_be_discarded(workspace):
    layer = new(workspace)
    closed = Path(layer.upper, "closed")
    (closed / "inner").mkdir(parents=True)
    (closed / "inner").chmod(0)
    closed.chmod(0)
    here = Path.cwd()
    os.chdir(layer.upper)
    try:
        for _ in range(1500):  # too deep for any path
            Path("deeper").mkdir()
            os.chdir("deeper")
    finally:
        os.chdir(here)
    layer.discard()
    assert not layer.directory.exists()


def test_the_state_directory_cannot_be_in_the_workspace(workspace):
    with pytest.raises(HostError, match="lies in the workspace"):
        create(workspace / "state" / "layers", "one", str(workspace), "agent", ["sh"], Masked((), ()))


def test_another_file_system_in_the_workspace_is_refused():
    with pytest.raises(HostError, match="mounted at /dev/"):
        create(Path("/nowhere/state/layers"), "one", "/dev", "agent", ["sh"], Masked((), ()))


def test_options_are_as_the_kernel_reads_them():
    overlay = Overlay(("/masks", "/a:b,c\\d"), "/up,per", "/work")
    assert overlay.options() == r"lowerdir=/masks:/a\:b\,c\\d,upperdir=/up\,per,workdir=/work,userxattr"
