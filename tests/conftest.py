"""What every tier shares: the ``needs`` marker, and a home of its own for every test."""

from __future__ import annotations

import ctypes.util
import itertools
import os
import pwd
import resource
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

# Before anything imports gRPC: its library starts its threads anew in every forked child of a process in which one of its
# servers runs, and a process with threads cannot enter a user namespace.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

settings.register_profile("patient", deadline=None)  # no test asserts a time
settings.load_profile("patient")

SOMEBODY = 61234
"""An unprivileged user."""

_homes = itertools.count()

CLIENTS = Path(__file__).parents[1] / ".clients" / "bin"
"""Where ``make clients`` puts the real clients that no distribution package brings: agents, node, npm, Python's."""


def _user_namespaces() -> bool:
    probe = subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True, timeout=20)
    return probe.returncode == 0


def _packet_filter() -> bool:
    """Whether a namespace of our own can redirect connections."""
    chain = "{ chain out { type nat hook output priority -100; meta l4proto tcp redirect to :1; }; }"
    probe = ["unshare", "--user", "--map-root-user", "--net", "nft", f"table inet probe {chain}"]
    return shutil.which("nft") is not None and subprocess.run(probe, capture_output=True, timeout=20).returncode == 0


def _sub_users() -> bool:
    """Whether the tests' unprivileged user has a name and users of its own, as rootless containers need."""
    try:
        name, ranges = pwd.getpwuid(SOMEBODY).pw_name, Path("/etc/subuid").read_text()
    except (KeyError, OSError):
        return False
    return name in {line.split(":")[0] for line in ranges.splitlines()}


def _on_path(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _core_dumps() -> bool:
    """Whether a process that crashes leaves its memory where it stands."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    return pattern.startswith("core") and resource.getrlimit(resource.RLIMIT_CORE)[1] == resource.RLIM_INFINITY


NEEDS: dict[str, Callable[[], bool]] = {
    # What a test may need of the machine, and how to find out. Anything not listed is a program on PATH.
    "bubblewrap": lambda: shutil.which("bwrap") is not None and _user_namespaces(),
    "nft": _packet_filter,
    "root": lambda: os.geteuid() == 0,
    "sub-users": _sub_users,
    "claude": (CLIENTS / "claude").exists,
    "codex": (CLIENTS / "codex").exists,
    "gemini": (CLIENTS / "gemini").exists,
    "node24": (CLIENTS / "node").exists,
    "npm24": (CLIENTS / "npm").exists,
    "moto": (CLIENTS / "moto_server").exists,
    "python-clients": (CLIENTS / "httpx").exists,  # and requests
    "git-http-backend": lambda: Path("/usr/lib/git-core/git-http-backend").exists(),
    "secret-service": lambda: all(map(shutil.which, ("dbus-daemon", "gnome-keyring-daemon", "secret-tool"))),
    "core-dumps": _core_dumps,
    "libseccomp": lambda: ctypes.util.find_library("seccomp") is not None,
    "machine": lambda: Path(os.environ.get("OUTWARD_TEST_MACHINE", "/nonexistent"), "vmlinux").is_file(),
    "ipv6": lambda: Path("/proc/net/if_inet6").exists(),
}


@cache
def available(need: str) -> bool:
    return NEEDS.get(need, _on_path(need))()


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = {name.strip() for name in os.environ.get("OUTWARD_REQUIRE", "").split(",")}
    for marker in item.iter_markers("needs"):
        for need in marker.args:
            if available(need):
                continue
            if need in required:
                pytest.fail(f"this machine has no {need}, and OUTWARD_REQUIRE demands it", pytrace=False)
            pytest.skip(f"NOT TESTED: this machine has no {need}")


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the caller's proxies, policy or state. Its own state's directory is not there before it is wanted."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or (name.startswith("OUTWARD_") and name != "OUTWARD_REQUIRE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OUTWARD_HOME", str(tmp_path_factory.getbasetemp() / f"outward-home-{next(_homes)}"))
