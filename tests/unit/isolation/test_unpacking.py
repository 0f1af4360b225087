"""Archives of root file systems, among them hostile ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outward.core import HostError
from outward.isolation import unpacking
from outward.isolation.unpacking import unpack

FILE, LINK, SYMLINK, DIRECTORY = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE
PIPE, DEVICE = tarfile.FIFOTYPE, tarfile.CHRTYPE

USUAL: tuple[tuple[Any, ...], ...] = (
    ("./", DIRECTORY),
    ("./usr/", DIRECTORY),
    ("./usr/bin/", DIRECTORY),
    ("./usr/bin/tool", FILE, "", 0o4755),
    ("./usr/bin/same", LINK, "./usr/bin/tool"),
    ("./bin", SYMLINK, "usr/bin"),
    ("./etc/mtab", SYMLINK, "../proc/self/mounts"),
    ("./etc/tool", SYMLINK, "/usr/bin/tool"),
    ("./dev/console", DEVICE),
)


def entry(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, target, mode, 1_600_000_000
    info.size = len(name) if kind == FILE else 0
    return info


def archive(*entries: tuple[Any, ...]) -> bytes:
    """A tar file; files hold their own names."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in (entry(*each) for each in entries):
            tar.addfile(info, io.BytesIO(info.name.encode()))
    return content.getvalue()


def reader(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_file_system_is_unpacked(root, compress):
    file = reader(compress(archive(*USUAL)))
    unpack(file, root)
    tool = root / "usr/bin/tool"
    assert tool.read_text() == "./usr/bin/tool"
    assert stat.S_IMODE(tool.stat().st_mode) == 0o755
    assert tool.stat().st_mtime == 1_600_000_000
    assert tool.samefile(root / "usr/bin/same")
    assert (root / "bin").readlink() == Path("usr/bin")
    assert (root / "etc/tool").readlink() == Path("/usr/bin/tool")
    assert not (root / "dev").exists()
    assert file.read() == b""


def test_directories_stay_open_to_their_owner(root):
    unpack(reader(archive(("a", DIRECTORY, "", 0o2555), ("a/b", FILE, "", 0))), root)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o400


class Plain(tarfile.TarFile):
    """A reader that takes everything, as Python's own is before 3.14."""

    extraction_filter = staticmethod(lambda member, _: member)


def test_what_a_plain_reader_would_do(tmp_path, root):
    """The attack, without the protection."""
    hostile = archive(("out", SYMLINK, str(tmp_path)), ("out/written", FILE), ("../beside", FILE))
    with Plain.open(fileobj=io.BytesIO(hostile)) as tar:
        tar.extractall(root)  # noqa: S202 (that is the point)
    assert (tmp_path / "written").exists()
    assert (tmp_path / "beside").exists()


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        ([("/etc/passwd", FILE)], "leads elsewhere"),
        ([("../beside", FILE)], "leads elsewhere"),
        ([("a/../../beside", FILE)], "leads elsewhere"),
        ([("out", SYMLINK, "/"), ("out/beside", FILE)], "leads through"),
        ([("out", SYMLINK, "/"), ("out/beside", DIRECTORY)], "leads through"),
        ([("out", SYMLINK, "/"), ("out", DIRECTORY)], "leads through"),
        ([("a", FILE), ("a/b", FILE)], "leads through"),
        ([("a", SYMLINK, "b"), ("a", FILE)], "comes twice"),
        ([("a", FILE), ("a", FILE)], "comes twice"),
        ([("a", DIRECTORY), ("a", SYMLINK, "/")], "comes twice"),
        ([("./", SYMLINK, "/")], "comes twice"),
        ([("a", SYMLINK, "../beside")], "leads out"),
        ([("a/b", SYMLINK, "../../beside")], "leads out"),
        ([("a", SYMLINK, "b/../../beside")], "leads out"),
        ([("a", SYMLINK, "/../beside")], "leads out"),
        ([("a", SYMLINK, "")], "link to nothing"),
        ([("a", LINK, "/etc/passwd")], "leads elsewhere"),
        ([("a", LINK, "../beside")], "leads elsewhere"),
        ([("a", LINK, "nothing")], "no file of it"),
        ([("a", SYMLINK, "/etc/passwd"), ("b", LINK, "a")], "no file of it"),
        ([("a", DEVICE)], "neither a file"),
        ([("a", PIPE)], "neither a file"),
        ([("a", b"V")], "neither a file"),
    ],
)
def test_what_would_reach_beyond_is_refused(root, hostile, reason):
    with pytest.raises(HostError, match=reason):
        unpack(reader(archive(*hostile)), root)
    assert sorted(path.name for path in root.parent.iterdir()) == ["root"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_what_is_cut_off_is_refused(root, compress):
    whole = compress(archive(*USUAL))
    tar = len(whole) if compress is not bytes else len(archive(*USUAL).rstrip(b"\0")) + 512
    for length in (0, 1, tar // 2, tar - 1):
        directory = root / str(length)
        directory.mkdir()
        with pytest.raises(HostError):
            unpack(reader(whole[:length]), directory)


def test_what_is_cut_off_between_two_entries_is_refused(root):
    one = archive(("a", DIRECTORY))[:512]
    unpack(reader(one + bytes(1024)), root)
    (root / "other").mkdir()
    with pytest.raises(HostError, match="cut off"):
        unpack(reader(one), root / "other")


@pytest.mark.parametrize(("key", "reason"), [("path", "leads elsewhere"), ("linkpath", "link to nothing")])
def test_names_with_an_end_in_them_are_refused(root, key, reason):
    info = entry("a", SYMLINK, "b")
    info.pax_headers = {key: "a\0b"}
    with pytest.raises(HostError, match=reason):
        unpack(reader(info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)), root)


def test_a_sparse_file_is_refused(root):
    info = entry("a", tarfile.GNUTYPE_SPARSE)
    with pytest.raises(HostError):
        unpack(reader(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), root)


@pytest.mark.parametrize("kind", [FILE, DIRECTORY, SYMLINK, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("size", [-512, -1, 1 << 62])
def test_sizes_that_lie_are_no_way_back(root, kind, size):
    """Readers that jump by them may never come to an end (CVE-2025-8194)."""
    info = entry("a", kind, "b")
    info.size = size
    with pytest.raises(HostError) if kind == FILE else suppress(HostError):
        unpack(reader(info.tobuf(tarfile.GNU_FORMAT) + archive(("after", FILE))), root)


@pytest.mark.parametrize(("name", "most"), [("_ENTRIES", 3), ("_OCTETS", 2048)])
def test_there_is_an_end(root, monkeypatch, name, most):
    monkeypatch.setattr(unpacking, name, most)
    with pytest.raises(HostError, match="more than"):
        unpack(reader(gzip.compress(archive(*USUAL))), root)


def test_what_is_no_archive_is_said_to_be_none(root):
    with pytest.raises(HostError) as caught:
        unpack(reader(b"#!/bin/sh\n" * 200), root)
    assert "docker export" in caught.value.hint


PARTS = st.sampled_from(["a", "b", "c", ".", "..", "", "dev", "a\0", "é"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from([FILE, FILE, LINK, SYMLINK, SYMLINK, DIRECTORY, PIPE, DEVICE])
ENTRIES = st.lists(st.tuples(NAMES, KINDS, NAMES, st.integers(0, 0o7777)), max_size=8)


@given(ENTRIES)
@settings(max_examples=300)
def test_nothing_is_made_elsewhere(entries):
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "above", "root")
        root.mkdir(parents=True)
        with suppress(HostError):
            unpack(reader(archive(*entries)), root)
        assert os.listdir(directory) == ["above"]  # noqa: PTH208
        assert [path.name for path in root.parent.iterdir()] == ["root"]
        for path in root.rglob("*"):
            status = path.lstat()
            assert stat.S_IFMT(status.st_mode) in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}
            assert stat.S_ISLNK(status.st_mode) or not status.st_mode & 0o7000


@given(st.binary(max_size=2000), st.integers(0, 511))
@settings(max_examples=200)
def test_damage_is_never_anything_else(noise, place):
    with tempfile.TemporaryDirectory() as directory:
        whole = archive(*USUAL)
        with suppress(HostError):
            unpack(reader(whole[:place] + noise + whole[place + len(noise) :]), Path(directory))
