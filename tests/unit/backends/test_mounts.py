from __future__ import annotations

import csv
import io
import stat
import tarfile

import pytest

from outward.backends.containers import root
from outward.backends.containers.mounts import Entry, Mount, mounts, tree, volume
from outward.isolation.contents import Contents
from outward.isolation.operations import Absent, Bind, Directory, File, Fresh, Hide, Kernel, Layered, Seal, Symlink


def hold(content: bytes) -> str:
    return f"/held/{len(content)}"


@pytest.mark.parametrize(
    ("operation", "mount"),
    [
        (Bind("/a", "/b"), Mount("/b", "/a")),
        (Bind("/a", "/b", writable=True), Mount("/b", "/a", writable=True)),
        (Hide("/w/.env", "/empty"), Mount("/w/.env", "/empty")),
        (File("/etc/hosts", b"12345"), Mount("/etc/hosts", "/held/5")),
        (Fresh("/tmp", "1777", 9), Mount("/tmp", size=9)),
        (Directory("/var/tmp"), Mount("/var/tmp")),
    ],
)
def test_what_is_mounted(operation, mount):
    assert mounts([operation], hold) == [mount]


@pytest.mark.parametrize(
    "operation", [Symlink("usr/bin", "/bin"), Kernel("proc", "/proc"), Seal("/"), Layered("/w"), Absent("/w/.env")]
)
def test_what_is_not(operation):
    assert mounts([operation], hold) == []


def test_parents_come_first_and_the_last_word_counts():
    found = mounts([Bind("/w/a/b", "/w/a/b"), Bind("/w", "/w", writable=True), Hide("/w/a/b", "/empty")], hold)
    assert found == [Mount("/w", "/w", writable=True), Mount("/w/a/b", "/empty")]


@pytest.mark.parametrize(
    ("mount", "recursive", "words"),
    [
        (Mount("/b", "/a"), True, ("--mount", "type=bind,source=/a,target=/b,readonly")),
        (
            Mount("/b", "/a", writable=True),
            False,
            ("--mount", "type=bind,source=/a,target=/b,bind-nonrecursive=true"),
        ),
        (
            Mount("/b", "/a"),
            None,
            ("--mount", "type=bind,source=/a,target=/b,readonly,nosuid,nodev,bind-nonrecursive=true"),
        ),
        (Mount("/b", '/a,"x'), True, ("--mount", 'type=bind,"source=/a,""x",target=/b,readonly')),
        (Mount("/run"), True, ("--tmpfs", "/run:rw,nosuid,nodev,noexec,mode=1777")),
        (Mount("/tmp", size=5), True, ("--tmpfs", "/tmp:rw,nosuid,nodev,exec,mode=1777,size=5")),
    ],
)
def test_the_words_for_an_engine(mount, recursive, words):
    assert mount.arguments(recursive=bool(recursive), flagged=recursive is None) == words


def test_the_tree_has_places_to_mount_at_and_links_and_nothing_else():
    operations = [Symlink("usr/bin", "/bin"), Symlink("x", "/home/me/.local/bin/tool")]
    found = [Mount("/usr", "/usr"), Mount("/etc/hosts", "/held/5"), Mount("/usr/etc/npmrc", "/empty"), Mount("/tmp")]
    entries = {entry.path: entry for entry in tree(operations, found, lambda path: path == "/usr")}
    assert entries["/usr"].directory
    assert not entries["/etc/hosts"].directory
    assert entries["/bin"].text == "usr/bin"
    assert entries["/tmp"].mode == 0o1777
    assert {"/home", "/home/me/.local/bin", "/home/me/.local/bin/tool", "/proc", "/dev", "/sys"} <= entries.keys()
    assert "/usr/etc/npmrc" not in entries, "it lies in what is mounted"
    assert [*entries] == sorted(entries, key=lambda path: (path.count("/"), path))


ENTRIES = (Entry("/tmp", mode=0o1777), Entry("/file", directory=False), Entry("/bin", directory=False, text="usr/bin"))


def test_the_tree_as_an_archive():
    with tarfile.open(fileobj=io.BytesIO(root.archive(ENTRIES))) as file:
        found = {member.name: (member.type, member.mode, member.linkname) for member in file.getmembers()}
    assert found == {
        "tmp": (tarfile.DIRTYPE, 0o1777, ""),
        "file": (tarfile.REGTYPE, 0o644, ""),
        "bin": (tarfile.SYMTYPE, 0o644, "usr/bin"),
    }


def test_the_tree_as_a_directory_is_made_once(tmp_path):
    made = root.make(ENTRIES, tmp_path / "roots")
    assert stat.S_IMODE((made / "tmp").stat().st_mode) == 0o1777
    assert (made / "file").read_bytes() == b""
    assert str((made / "bin").readlink()) == "usr/bin"
    assert root.make(ENTRIES, tmp_path / "roots") == made
    assert root.make(ENTRIES[:1], tmp_path / "roots") != made
    assert len(list((tmp_path / "roots").iterdir())) == 2


def test_contents_are_made_once_and_put_right(tmp_path):
    contents = Contents(tmp_path / "files")
    path = contents.hold(b"text")
    assert contents.hold(b"text") == path != contents.hold(b"other")
    (tmp_path / "files" / path.rpartition("/")[2]).unlink()
    assert contents.hold(b"text") == path
    assert (tmp_path / "files" / path.rpartition("/")[2]).read_bytes() == b"text"


def test_a_layer_for_docker_is_one_field_whatever_its_paths_are():
    words = volume('/w,readonly,"x"', "lowerdir=/a:/b,upperdir=/c")
    assert words[0] == "--mount"
    (fields,) = csv.reader([words[1]])
    assert fields[:2] == ["type=volume", 'target=/w,readonly,"x"']
    assert fields[-1] == "volume-opt=o=lowerdir=/a:/b,upperdir=/c"
