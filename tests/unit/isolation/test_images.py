"""What ``--image`` leads to without an engine."""

from __future__ import annotations

import fcntl
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from outward.core import HostError
from outward.isolation import images
from outward.isolation.images import BUILT, find
from outward.isolation.unpacking import unpack
from tests.unit.isolation.test_unpacking import DIRECTORY, FILE, archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader
    from pathlib import Path

ONE = archive(("bin", DIRECTORY), ("bin/one", FILE))
OTHER = archive(("bin", DIRECTORY), ("bin/other", FILE))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "sync", lambda: None)  # the disk has other users
    store = tmp_path / "images"
    store.mkdir()
    (store / images.ARCHIVE).write_bytes(ONE)
    return store


def contents(store: Path, name: str = BUILT) -> list[str]:
    with find(name, store).unpacked() as root:
        return [path.name for path in (root / "bin").iterdir()]


def in_child(function: Callable[[], bool]) -> int:
    """Runs it in a process of its own, which ends with 0 if it was true."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if function() else 1)
        finally:
            os._exit(2)
    return pid


def roots(store: Path) -> list[Path]:
    return sorted(path for path in store.glob("roots/*/*") if path.is_dir())


def test_what_was_built_is_unpacked_once(store, monkeypatch):
    assert contents(store) == ["one"]
    assert [root.name for root in roots(store)] == [f"root-{hashlib.sha256(ONE).hexdigest()}"]
    monkeypatch.setattr(images, "unpack", None)
    assert contents(store) == ["one"]


def test_it_has_the_short_name_that_it_has_for_engines(store):
    assert contents(store, "outward") == ["one"]


def test_a_file_or_a_directory_is_an_image(store, tmp_path):
    file = tmp_path / "other.tar"
    file.write_bytes(OTHER)
    assert contents(store, str(file)) == ["other"]
    (tmp_path / "root/bin/third").mkdir(parents=True)
    assert contents(store, str(tmp_path / "root")) == ["third"]


@pytest.mark.parametrize(
    ("name", "hint"), [(BUILT, "outward image build"), ("debian:12", "docker export"), ("/nowhere", "docker export")]
)
def test_what_is_not_there_is_said_with_the_way_out(tmp_path, name, hint):
    with pytest.raises(HostError, match="there is no image") as caught:
        find(name, tmp_path)
    assert hint in caught.value.hint


def test_a_pipe_is_no_image(store, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="neither a file nor a directory"):
        contents(store, str(tmp_path / "pipe"))


def test_another_archive_takes_its_place(store):
    contents(store)
    (store / images.ARCHIVE).write_bytes(OTHER)
    assert contents(store) == ["other"]
    assert len(roots(store)) == 1


def test_the_same_in_another_file_is_the_same(store):
    contents(store)
    before = roots(store)
    (store / "copy").write_bytes(ONE)
    (store / "copy").replace(store / images.ARCHIVE)
    assert contents(store) == ["one"]
    assert roots(store) == before


def test_what_is_used_stays(store):
    with find(BUILT, store).unpacked() as root:
        (store / images.ARCHIVE).write_bytes(OTHER)
        assert contents(store) == ["other"]
        assert (root / "bin/one").exists()
    assert contents(store) == ["other"]
    assert len(roots(store)) == 1


def test_a_digest_is_checked(store):
    digest = hashlib.sha256(ONE).hexdigest()
    assert contents(store, f"{BUILT}@sha256:{digest}") == ["one"]
    (store / images.ARCHIVE).write_bytes(OTHER)
    with pytest.raises(HostError, match="not what was asked for"):
        contents(store, f"{BUILT}@sha256:{digest}")
    contents(store)  # and once it is there
    with pytest.raises(HostError, match="not what was asked for"):
        contents(store, f"{BUILT}@sha256:{digest}")


@pytest.mark.parametrize("pin", ["", "12", "A" * 64, f"{'a' * 64}\n"])
def test_what_is_no_digest_is_refused(store, pin):
    with pytest.raises(HostError, match="64 hexadecimal digits"):
        find(f"{BUILT}@sha256:{pin}", store)


def test_a_directory_has_none(store, tmp_path):
    with pytest.raises(HostError, match="has no digest"):
        find(f"{tmp_path}@sha256:{'a' * 64}", store)


def test_what_was_interrupted_is_not_used(store, monkeypatch):
    def interrupted(_file: object, root: Path) -> None:
        (root / "bin").mkdir()
        (root / "bin/half").touch()
        os._exit(3)

    with monkeypatch.context() as patched:
        patched.setattr(images, "unpack", interrupted)
        _, status = os.waitpid(in_child(lambda: bool(contents(store))), 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert [root.name for root in roots(store)] == ["draft"]
    assert contents(store) == ["one"]
    assert len(roots(store)) == 1


def test_what_is_refused_is_not_kept(store):
    (store / images.ARCHIVE).write_bytes(archive(("../beside", FILE)))
    for _ in range(2):
        with pytest.raises(HostError, match="leads elsewhere"):
            contents(store)
        assert roots(store) == []


def test_what_changes_meanwhile_is_not_used(store, monkeypatch):
    def slow(file: BufferedReader, root: Path) -> None:
        (store / images.ARCHIVE).write_bytes(OTHER)
        unpack(file, root)

    with monkeypatch.context() as patched:
        patched.setattr(images, "unpack", slow)
        with pytest.raises(HostError, match="changed while"):
            contents(store)
    assert contents(store) == ["other"]


def test_one_unpacks_and_the_others_wait(store):
    contents(store)
    place = next(store.glob("roots/*"))
    descriptor = os.open(place, os.O_RDONLY)

    def second() -> bool:
        os.close(descriptor)  # the lock is the first one's
        return contents(store) == ["one"]

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    pid = in_child(second)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.close(descriptor)
    assert os.waitpid(pid, 0)[1] == 0


def test_layers_are_no_root_file_system(store):
    (store / images.ARCHIVE).write_bytes(archive(("manifest.json", FILE), ("layer.tar", FILE)))
    with pytest.raises(HostError, match="archive of layers") as caught:
        contents(store)
    assert "docker export" in caught.value.hint
