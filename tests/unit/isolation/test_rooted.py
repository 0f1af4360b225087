from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from outward.backends.microvm import view
from outward.core import HostError
from outward.isolation import rooted
from outward.isolation.images import Image
from outward.isolation.operations import Bind, Directory, File, Fresh, Kernel, Seal, Symlink

if TYPE_CHECKING:
    from pathlib import Path

OURS = (
    File("/etc/passwd", b""),
    File("/etc/outward/ca.pem", b""),
    Kernel("proc", "/proc"),
    Fresh("/tmp", "1777"),
    Bind("/state/home", "/home/agent", writable=True),
    Seal("/"),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("usr/bin", "etc/ssl", "home/somebody", "proc", "sys", "dev", "tmp/left", "var/lib"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("etc/passwd", "etc/os-release", "proc/version", "dev/null"):
        (tmp_path / name).write_text(f"the image's {name}")
    (tmp_path / "bin").symlink_to("usr/bin")
    return tmp_path


def seen(root: Path, *operations: object) -> list[object]:
    return list(rooted.rooted(root, operations))  # type: ignore[arg-type]


def test_the_image_is_what_lies_beside_ours(root):
    assert seen(root, *OURS) == [
        Symlink("usr/bin", "/bin"),
        Directory("/etc"),
        File("/etc/os-release", b"the image's etc/os-release"),
        Bind(f"{root}/etc/ssl", "/etc/ssl"),
        Directory("/home"),
        Bind(f"{root}/home/somebody", "/home/somebody"),
        Bind(f"{root}/usr", "/usr"),
        Bind(f"{root}/var", "/var"),
    ]


def test_nothing_of_it_can_be_written(root):
    assert not any(each.writable for each in seen(root, *OURS) if isinstance(each, Bind))


@pytest.mark.parametrize("link", ["/", "/state", "../..", "nowhere"])
def test_a_link_where_ours_goes_is_not_followed(root, link):
    """Bubblewrap would make directories, and mount, where it leads."""
    for name in ("etc", "home"):
        (root / name).rename(root / f"{name}.kept")
        (root / name).symlink_to(link)
    paths = {getattr(each, "path", getattr(each, "target", "")) for each in seen(root, *OURS)}
    assert paths == {"/bin", "/etc.kept", "/home.kept", "/usr", "/var"}


def test_large_and_executable_files_are_mounted(root):
    (root / "etc/rmt").write_text("#!/bin/sh")
    (root / "etc/rmt").chmod(0o755)
    (root / "etc/large").write_bytes(bytes(1 << 17))
    bound = {each.target for each in seen(root, *OURS) if isinstance(each, Bind)}
    assert {"/etc/rmt", "/etc/large"} < bound


def test_pipes_and_sockets_are_nothing_for_a_machine(root):
    before = seen(root, *OURS)
    os.mkfifo(root / "etc/waiting")
    os.mkfifo(root / "waiting")
    assert seen(root, *OURS) == before


@pytest.mark.parametrize("name", ["usr", "etc/os-release"])
def test_what_is_not_for_us_to_read_is_not_for_a_sandbox(root, monkeypatch, name):
    closed = f"{root}/{name}"
    before = seen(root, *OURS)
    monkeypatch.setattr(os, "access", lambda path, _: path != closed)
    (missing,) = {*before} - {*seen(root, *OURS)}
    assert f"/{name}" in str(missing)


def test_what_cannot_be_looked_through_is_an_error(root, monkeypatch):
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(HostError, match=f"{root}: Permission denied"):
        seen(root, *OURS)


def test_all_of_it_is_below_the_directory_that_the_machine_sees(root):
    found = list(view.around(OURS, kvm=False, root=root))
    own = [each for each in found if str(root) in str(each)]
    assert own
    assert all(each.target.startswith("/guest/") for each in own if isinstance(each, Bind))
    assert found.index(Directory("/guest/etc")) < found.index(File("/guest/etc/passwd", b""))


def test_an_image_without_the_programs_that_start_a_command_is_refused(root):
    mine = Image("mine", root.with_name("mine.tar"), None, root)
    for name in ("env", "setpriv"):
        (root / "usr/bin" / name).symlink_to("/usr/bin/somewhere")
    rooted.check(mine, root, ("env", "setpriv"), OURS)
    (root / "usr/bin/setpriv").unlink()
    with pytest.raises(HostError, match="mine lacks /usr/bin/setpriv") as failure:
        rooted.check(mine, root, ("env", "setpriv"), OURS)
    assert "util-linux" in failure.value.hint


def test_a_directory_that_an_agent_could_change_meanwhile_is_refused(root):
    directory, file = Image("mine", root, None, root), Image("mine", root.with_name("mine.tar"), None, root)
    with pytest.raises(HostError, match="where agents write"):
        rooted.check(directory, root, (), (Bind(str(root.parent), "/work", writable=True),))
    rooted.check(directory, root, (), (Bind(str(root.parent), "/work"),))
    rooted.check(file, root, (), (Bind(str(root.parent), "/work", writable=True),))  # what we unpacked is hidden there
