"""Files of the local store: ours alone, whole, and not overwritten where something went wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from outward.core import HostError
from outward.credentials.local import files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    files.prepare(directory)
    path = directory / "file"
    files.write(path, b"content")
    return path


def test_what_was_written_is_read(file: Path) -> None:
    assert files.read(file) == b"content"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert files.read(file.with_name("other")) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_what_others_can_use_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(HostError, match="others") as caught:
        files.read(file)
    assert caught.value.hint == f"chmod 600 {file}"


def test_a_symbolic_link_is_refused(file: Path, tmp_path: Path) -> None:
    target = file.rename(tmp_path / "target")
    assert files.read(target) == b"content"
    file.symlink_to(target)
    with pytest.raises(HostError, match="symbolic link"):
        files.read(file)


def test_writing_replaces_a_link_and_not_what_it_leads_to(file: Path, tmp_path: Path) -> None:
    target = file.rename(tmp_path / "target")
    file.symlink_to(target)
    files.write(file, b"new")
    assert not file.is_symlink()
    assert target.read_bytes() == b"content"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(tmp_path: Path, make: object) -> None:
    path = tmp_path / "thing"
    make(path)  # type: ignore[operator]
    with pytest.raises(HostError):
        files.read(path)


@pytest.mark.needs("root")
def test_a_file_of_somebody_else_is_refused(file: Path) -> None:
    os.chown(file, 61234, -1)
    with pytest.raises(HostError, match="not a file of yours"):
        files.read(file)


def test_what_is_too_large_is_refused(file: Path) -> None:
    assert files.read(file, limit=7) == b"content"
    with pytest.raises(HostError, match="larger"):
        files.read(file, limit=6)


def test_a_directory_that_others_can_look_into_is_refused(file: Path, tmp_path: Path) -> None:
    files.prepare(file.parent)
    file.parent.chmod(0o710)
    with pytest.raises(HostError, match="others"):
        files.prepare(file.parent)
    (tmp_path / "link").symlink_to(file.parent)
    with pytest.raises(HostError, match="not a directory of yours"):
        files.prepare(tmp_path / "link")


def test_nothing_is_overwritten_unless_it_is_to_be(file: Path) -> None:
    with pytest.raises(HostError):
        files.write(file, b"new", replace=False)
    assert files.read(file) == b"content"
    assert [each.name for each in file.parent.iterdir()] == ["file"], "nothing is left behind"


def test_a_full_disk_leaves_what_was_there(file: Path) -> None:
    """The limit on the size of files stands for the disk's."""
    script = f"""
import resource, sys
from pathlib import Path
from outward.core import HostError
from outward.credentials.local import files
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
files.write(Path({str(file)!r}), b"x" * 4096)
try:
    files.write(Path({str(file)!r}), b"y" * 4097)
except HostError as error:
    sys.exit(3 if "as it was" in error.hint else 4)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 3
    assert file.read_bytes() == b"x" * 4096
    assert [each.name for each in file.parent.iterdir()] == ["file"], "no half of it is left behind"


def test_where_there_are_no_locks_nobody_goes_on_without(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    async def in_turn() -> None:
        with await files.take_turn(file.parent, "name"):
            pass

    asyncio.run(in_turn())
    monkeypatch.setattr("fcntl.flock", fails)
    with pytest.raises(HostError, match="No locks available"), files.exclusive(file.parent):
        pytest.fail("it went on")
    with pytest.raises(HostError, match="No locks available"):
        asyncio.run(in_turn())
