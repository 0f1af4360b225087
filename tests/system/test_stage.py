"""Copies of mounts in which users change places, without a daemon that they are for."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outward.backends.containers.engine import Engine
from outward.backends.containers.mounts import Mount
from outward.backends.containers.reaper import reaping
from outward.backends.containers.stage import obstacle, staged, strike
from outward.core import HostError
from tests.system.test_end import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("root")

CALLER = (0, 0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "stages" / "S"
    strike(tmp_path / "stages" / "S")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir(0o700)
    (tmp_path / "source" / "file").write_text("kept")
    return tmp_path / "source"


def owner(path: str | Path) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_uid, status.st_gid


def mounted(path: Path) -> bool:
    return str(path) in Path("/proc/self/mountinfo").read_text()


def test_the_caller_and_the_commands_user_change_places(source, stage):
    (source / "theirs").touch()
    os.chown(source / "theirs", 1000, 7)
    with staged(stage, os.getpid(), CALLER) as on:
        copy = on.mount(Mount("/w", str(source), writable=True)).source
        file = on.mount(Mount("/f", str(source / "file"))).source
    assert owner(copy) == owner(f"{copy}/file") == owner(file) == (1000, 1000)
    assert owner(f"{copy}/theirs") == (0, 7)
    os.chown(f"{copy}/theirs", 1000, 1000)
    assert owner(source / "theirs") == (0, 0)
    assert stage.stat().st_mode & 0o777 == 0o700


def test_what_is_read_only_is(source, stage):
    with staged(stage, os.getpid(), CALLER) as on:
        copy = Path(on.show(str(source), writable=False))
        writable = Path(on.show(str(source), writable=True))
    with pytest.raises(OSError, match="Read-only"):
        (copy / "file").write_text("changed")
    (writable / "file").write_text("changed")
    assert (source / "file").read_text() == "changed"


def test_devices_and_set_user_id_bits_are_dead(source, stage):
    os.mknod(source / "null", 0o020666, os.makedev(1, 3))
    (source / "null").open("rb").close()
    with staged(stage, os.getpid(), CALLER) as on:
        copy = Path(on.show(str(source), writable=True))
    assert os.statvfs(copy).f_flag & os.ST_NOSUID
    with pytest.raises(PermissionError):
        (copy / "null").open("rb")


def test_nothing_is_left_once_it_is_struck(source, stage):
    with staged(stage, os.getpid(), CALLER) as on:
        on.show(str(source), writable=True)
    assert mounted(stage)
    strike(stage)
    assert not mounted(stage)
    assert not stage.exists()
    assert (source / "file").read_text() == "kept"


def test_one_that_was_made_before_its_maker_was_killed_is_struck(source, stage, tmp_path):
    ready, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        with reaping(Engine("/bin/true", {}), ("a",), stage), staged(stage, os.getpid(), CALLER) as on:
            on.show(str(source), writable=True)
            os.write(said, b"x")
            signal.pause()
    os.read(ready, 1)
    assert mounted(stage)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until(lambda: not stage.exists())
    assert not mounted(stage)
    assert (source / "file").read_text() == "kept"


def test_a_file_system_that_cannot_is_known_before(source, stage):
    assert obstacle([source], CALLER) == ""
    assert obstacle([source, Path("/proc/self")], CALLER) == "/proc/self: its file system does not map users"
    with staged(stage, os.getpid(), CALLER) as on:
        with pytest.raises(HostError, match="/proc/self cannot be shown"):
            on.show("/proc/self", writable=True)
        assert owner(on.show("/proc/sys", writable=False)) == owner("/proc/sys"), "nobody's, and only read"
    assert not mounted(source)
