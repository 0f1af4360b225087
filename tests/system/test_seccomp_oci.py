"""The profile for containers in a real runtime: runc, as docker and podman call it."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from outward.isolation import seccomp_oci
from outward.isolation.syscalls import numbers
from tests.system.conftest import ATTACKS

if TYPE_CHECKING:
    from outward.isolation.seccomp_table import Profile

pytestmark = pytest.mark.needs("runc", "root")


def number(name: str) -> int:
    return numbers("x86_64" if os.uname().machine == "x86_64" else "aarch64")[name]


SOCKETS = {
    "family AF_INET SOCK_STREAM": "OPEN",
    "family AF_INET SOCK_STREAM 262": "CLOSED [Errno 93] Protocol not supported",
    "family AF_INET6 SOCK_RAW": "CLOSED [Errno 94] Socket type not supported",
    "family AF_VSOCK": "CLOSED [Errno 97] Address family not supported by protocol",
    "netlink 0": "OPEN",
    "netlink 12": "CLOSED [Errno 93] Protocol not supported",
}
CALLS = {
    f"call {number('clone3')} 0 0": "CLOSED [Errno 38] ENOSYS",
    f"call {number('keyctl')} 0 4294967293 1": "CLOSED [Errno 1] EPERM",
    f"call {number('bpf')} 0 0 0": "CLOSED [Errno 1] EPERM",
    f"call {max(numbers('x86_64').values()) + 1}": "CLOSED [Errno 38] ENOSYS",
    "ptrace 0x10": "CLOSED [Errno 1] EPERM",
    "debug": "OPEN",
    "discipline": "CLOSED [Errno 1] Operation not permitted",
}
UNSHARE = f"call {number('unshare')} {0x10000000}"


def said(directory: Path, lines: list[str], profile: dict[str, Any] | None) -> dict[str, str]:
    """What attacks in a container say."""
    root = directory / "root"
    for name in ("usr", "proc", "dev", "tests"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
    process: dict[str, Any] = {
        "user": {"uid": 0, "gid": 0},
        "args": ["/usr/bin/python3", "/tests/attacks.py", "each", *lines],
        "env": ["PATH=/usr/bin"],
        "cwd": "/",
        "noNewPrivileges": True,
        "capabilities": {},
    }
    linux: dict[str, Any] = {"namespaces": [{"type": kind} for kind in ("mount", "pid", "network", "ipc")]}
    config = {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
            {"destination": "/tests", "type": "bind", "source": str(ATTACKS.parent), "options": ["rbind", "ro"]},
        ],
        "linux": linux | ({"seccomp": profile} if profile is not None else {}),
    }
    (directory / "config.json").write_text(json.dumps(config))
    command = ["runc", "--root", str(directory / "state"), "run", "--bundle", str(directory), f"t{uuid.uuid4().hex}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(zip(lines, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("profile", ["default", "nested"])
def test_what_bubblewraps_filter_says_the_runtimes_says(tmp_path, profile: Profile):
    expected = SOCKETS | CALLS
    assert said(tmp_path, [*expected], seccomp_oci.profile(profile)) == expected


def test_new_namespaces_are_for_nested(tmp_path):
    (tmp_path / "default").mkdir()
    (tmp_path / "nested").mkdir()
    assert "EPERM" in said(tmp_path / "default", [UNSHARE], seccomp_oci.profile())[UNSHARE]
    assert said(tmp_path / "nested", [UNSHARE], seccomp_oci.profile("nested"))[UNSHARE] == "OPEN"


def test_without_it_these_are_open(tmp_path):
    there = ["netlink 12", "ptrace 0x10", "discipline", UNSHARE]
    assert set(said(tmp_path, there, None).values()) == {"OPEN"}
