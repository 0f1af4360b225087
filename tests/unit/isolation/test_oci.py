from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from outward.core import Limits
from outward.isolation import oci
from outward.isolation.launch import Launch
from outward.isolation.operations import Absent, Bind, Directory, File, Fresh, Hide, Kernel, Layered, Seal, Symlink

NO_LIMITS = Limits()
PREFIX = ("/usr/bin/unshare", "--")


def bundle(*operations: object, limits: Limits = NO_LIMITS, **changes: object) -> oci.Bundle:
    values: dict[str, object] = {
        "command": ("ls", "-l"),
        "operations": operations,
        "environment": {"PATH": "/usr/bin"},
        "directory": "/w",
        "terminal": False,
    }
    return oci.bundle(Launch(**(values | changes)), "/state/gvisor", PREFIX, limits)  # type: ignore[arg-type]


def mounts(*operations: object) -> list[tuple[str, str, str]]:
    return [(each["destination"], each["type"], each["source"]) for each in bundle(*operations).config["mounts"]]


def test_the_process_has_no_capability_and_gains_none():
    process = bundle().config["process"]
    assert set(process["capabilities"]) == {"bounding", "effective", "inheritable", "permitted", "ambient"}
    assert not any(process["capabilities"].values())
    assert process["noNewPrivileges"] is True


def test_the_command_comes_after_the_prefix_with_its_environment_and_directory():
    process = bundle(environment={"A": "1", "B": "x=y"}).config["process"]
    assert process["args"] == [*PREFIX, "ls", "-l"]
    assert process["env"] == ["A=1", "B=x=y"]
    assert process["cwd"] == "/w"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_told(terminal):
    assert bundle(terminal=terminal).config["process"]["terminal"] is terminal


def test_the_network_namespace_is_the_one_it_is_started_in():
    assert {each["type"] for each in bundle().config["linux"]["namespaces"]} == {"pid", "ipc", "uts", "mount"}


def test_the_root_is_read_only():
    assert bundle().config["root"] == {"path": "root", "readonly": True}


def test_mounts_keep_the_order_of_the_operations():
    assert mounts(
        Bind("/w", "/w", writable=True), Fresh("/tmp"), Hide("/w/.env", "/empty"), Bind("/w/.git", "/w/.git")
    ) == [
        ("/w", "bind", "/w"),
        ("/tmp", "tmpfs", "tmpfs"),
        ("/w/.env", "bind", "/empty"),
        ("/w/.git", "bind", "/w/.git"),
    ]


@pytest.mark.parametrize(
    ("operation", "access"),
    [(Bind("/w", "/w", writable=True), "rw"), (Bind("/w", "/w"), "ro"), (Hide("/w/.env", "/empty"), "ro")],
)
def test_only_what_is_writable_is_writable(operation, access):
    (mount,) = bundle(operation).config["mounts"]
    assert {"rw", "ro"} & set(mount["options"]) == {access}


def test_nothing_of_the_hosts_proc_is_shown():
    shown = mounts(Kernel("proc", "/proc"), Bind("/proc/sys", "/proc/sys"), Hide("/proc/kcore", "/empty"))
    assert shown == [("/proc", "proc", "proc")]


def test_nothing_is_mounted_on_a_socket(tmp_path: Path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert mounts(Hide(str(path), "/empty")) == []
    path.unlink()
    path.touch()
    assert mounts(Hide(str(path), "/empty")) == [(str(path), "bind", "/empty")]


def test_a_directory_in_memory_has_its_size_and_mode():
    (mount,) = bundle(Fresh("/tmp", "1777", 4096)).config["mounts"]
    assert {"mode=1777", "size=4096"} <= set(mount["options"])


def test_a_directory_in_memory_that_is_filled_is_ours():
    made = bundle(Fresh("/var"), Directory("/var/tmp", "1777"), Symlink("elsewhere", "/var/link"))
    assert [(each["destination"], each["type"], each["source"]) for each in made.config["mounts"]] == [
        ("/var", "bind", "/state/gvisor/fresh/var")
    ]
    assert [(each.path, oct(each.mode)) for each in made.made if each.path.startswith("fresh")] == [
        ("fresh/var", "0o755"),
        ("fresh/var/tmp", "0o1777"),
        ("fresh/var/link", "0o755"),
    ]


def test_a_directory_in_one_in_memory_is_held_to_the_same_size():
    made = bundle(Fresh("/var", size=4096), Directory("/var/tmp", "1777"))
    assert [(each["destination"], each["type"]) for each in made.config["mounts"]] == [
        ("/var", "tmpfs"),
        ("/var/tmp", "tmpfs"),
    ]
    assert {"mode=1777", "size=4096"} <= set(made.config["mounts"][1]["options"])
    assert [each.path for each in made.made] == ["root"]


def test_what_a_layer_does_needs_nothing():
    assert mounts(Layered("/w"), Absent("/w/.env"), Seal("/")) == []


def test_an_operation_that_it_does_not_know_is_an_error():
    with pytest.raises(TypeError):
        bundle(object())


@pytest.mark.parametrize(
    ("limits", "kind", "value"),
    [(Limits(files=64), "RLIMIT_NOFILE", 64), (Limits(disk=1 << 20), "RLIMIT_FSIZE", 1 << 20)],
)
def test_limits_of_each_process(limits, kind, value):
    assert bundle(limits=limits).config["process"]["rlimits"] == [{"type": kind, "soft": value, "hard": value}]
    assert bundle().config["process"]["rlimits"] == []


def test_it_is_written_as_it_says(tmp_path: Path):
    made = bundle(File("/etc/hosts", b"one"), Symlink("usr/bin", "/bin"), Directory("/var/empty", "0700"))
    made.write(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == made.config
    root = tmp_path / "root"
    assert (root / "etc/hosts").read_bytes() == b"one"
    assert stat.S_IMODE((root / "etc/hosts").stat().st_mode) == 0o444
    assert (root / "bin").readlink() == Path("usr/bin")
    assert stat.S_IMODE((root / "var/empty").stat().st_mode) == 0o700


def test_what_may_be_missing_is_not_mounted_then(tmp_path):
    there, missing = str(tmp_path), str(tmp_path / "missing")
    found = mounts(Bind(there, "/there", optional=True), Bind(missing, "/missing", optional=True))
    assert [target for target, _, _ in found] == ["/there"]
