"""The system call filter around real processes. Each attack is first shown to work without it, where that is harmless."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from outward.isolation.syscalls import numbers
from tests.system.conftest import attack_outside
from tests.system.test_attacks import attack_in_plain_bwrap

pytestmark = pytest.mark.needs("bubblewrap")

X86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="NOT TESTED: the code is for x86_64")
INT_80 = "b814000000cd80c3"
"""mov eax, 20 (getpid of i386); int 0x80; ret"""
X32 = "b8270000400f05c3"
"""mov eax, 0x40000027 (getpid of x32); syscall; ret"""
NATIVE = "b8270000000f05c3"
SIGSYS = 31


def number(name: str) -> int:
    return numbers("x86_64" if os.uname().machine == "x86_64" else "aarch64")[name]


@pytest.fixture
def nested(caller):
    """Options for a sandbox in which others can be made."""
    policy = caller.file(caller.home / "policy.yaml", "version: 1\nsandbox: {seccomp: nested}\n")
    return ("--policy", str(policy))


def test_other_processes_cannot_be_taken_over(caller):
    taken = ("ptrace 0x10", "ptrace 0x4206", "peek")
    for attack in taken:
        assert attack_outside(*attack.split()) == "OPEN"
    said = caller.attacks(*taken, "ptrace 0x10 1", "debug")  # the sandbox's first process; a program that is started
    assert said.pop("debug") == "OPEN"
    assert all("EPERM" in each for each in said.values()), said


def test_the_kernel_s_other_doors_are_closed(caller):
    refused = ("kcmp", "pidfd_getfd", "perf_event_open", "keyctl", "add_key", "syslog", "acct")
    absent = ("clone3", "fsopen", "open_tree", "mount_setattr")
    later = max(numbers("x86_64").values()) + 1
    assert attack_outside("discipline") == "OPEN"
    # KEYCTL_GET_KEYRING_ID of the session's: keyrings are not confined by namespaces.
    assert attack_in_plain_bwrap("call", number("keyctl"), 0, 0xFFFFFFFD, 1) == "OPEN"
    calls = {name: f"call {number(name)} 0 0 0 0 0" for name in (*refused, *absent)}
    said = caller.attacks(*calls.values(), f"call {later}", "discipline")
    assert all("EPERM" in said[calls[name]] for name in refused), said
    assert all("ENOSYS" in said[calls[name]] for name in absent), said
    assert "ENOSYS" in said[f"call {later}"]
    assert "Operation not permitted" in said["discipline"]


def test_sockets_are_those_of_the_table(caller):
    there = [
        f"family {family} {kind}"
        for family in ("AF_INET", "AF_INET6", "AF_UNIX")
        for kind in ("SOCK_STREAM", "SOCK_DGRAM")
    ]
    protocols = ["family AF_INET SOCK_STREAM 132", "family AF_INET SOCK_DGRAM 136", "family AF_INET SOCK_STREAM 262"]
    types = [f"family AF_INET6 {kind}" for kind in ("SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET")]
    said = caller.attacks(*there, *protocols, *types)
    assert {said[each] for each in there} == {"OPEN"}
    assert all("Protocol not supported" in said[each] for each in protocols), said  # SCTP, UDP-Lite, MPTCP
    assert all("Socket type not supported" in said[each] for each in types), said


def test_interfaces_can_be_listed(caller):
    assert caller.inside("python3 -c 'import socket; print(socket.if_nameindex())'").stdout == "[(1, 'lo')]\n"


@X86_64
def test_other_architectures_are_killed(caller):
    if attack_outside("machine", INT_80).startswith("OPEN"):
        assert attack_in_plain_bwrap("machine", INT_80) == "OPEN"
    assert caller.attack("machine", NATIVE) == "OPEN"  # also brings the script there
    done = caller.inside(f"for code in {INT_80} {X32}; do python3 attacks.py machine $code; echo $?; done")
    assert done.stdout == f"{128 + SIGSYS}\n" * 2


class TestNested:
    """Agents that bring a sandbox of their own. What they become in there is nothing out here."""

    OWN = "unshare --user --map-root-user --mount"

    def inside(self, caller, nested, line: str) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = caller.inside(line, *nested)
        return done

    def test_namespaces_and_mounts_are_for_this_profile(self, caller, nested):
        line = f"{self.OWN} sh -c 'mkdir x && mount --bind x x && umount x && echo mounted'"
        assert caller.inside(line).returncode != 0
        assert self.inside(caller, nested, line).stdout == "mounted\n"

    def test_bubblewrap_runs_in_it(self, caller, nested):
        own = "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts"
        line = f"bwrap {own} --ro-bind / / --dev /dev --chdir / sh -c 'ls -d /usr; touch /tmp/x'"
        assert caller.inside(line).returncode != 0
        done = self.inside(caller, nested, line)
        assert (done.stdout, "Read-only" in done.stderr) == ("/usr\n", True)

    def test_what_is_hidden_stays_hidden(self, caller, nested):
        caller.file(caller.workspace / ".env", "TOKEN=real\n")
        tried = ("umount .env; cat .env", "umount -l .env; cat .env", 'mkdir x; mount --bind "$PWD" x; cat x/.env')
        lines = "; ".join(f"{self.OWN} sh -c '{line}'" for line in tried)
        done = self.inside(caller, nested, f"{lines}; echo end")
        assert done.stdout == "end\n"

    @pytest.mark.parametrize("kind", ["cgroup2", "cgroup -o pids"])
    def test_control_groups_cannot_be_mounted(self, caller, nested, kind, tmp_path):
        """Those of root, or of its user, would be its own to write: to lift a limit, or to freeze what runs beside it."""
        line = f"mkdir -p x; {self.OWN} --cgroup sh -c 'mount -t {kind} none x && ls x'"
        if f" {kind.split()[0]} " in Path("/proc/mounts").read_text():
            argv = ["sh", "-c", line]
            outside = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=60)
            assert "cgroup.procs" in outside.stdout
        for each in (line, line.replace(" --cgroup", "")):
            assert "cgroup.procs" not in self.inside(caller, nested, each).stdout

    def test_what_is_read_only_stays_so(self, caller, nested):
        tried = "mount -o remount,rw,bind $path; umount $path; touch $path/planted && echo $path"
        line = f'for path in /usr /etc /proc/sys; do {self.OWN} sh -c "{tried}"; done'
        assert self.inside(caller, nested, line).stdout == ""

    def test_the_gateway_is_still_the_only_way_and_the_rest_is_refused_as_ever(self, caller, nested):
        """A network of its own is one without anything in it; that of the sandbox belongs to somebody else."""
        sockets = [
            "family AF_VSOCK",
            "family AF_PACKET SOCK_RAW",
            "family AF_ALG SOCK_SEQPACKET",
            "family AF_INET SOCK_RAW",
        ]
        calls = [f"call {number(name)} 0 0 0" for name in ("bpf", "io_uring_setup", "keyctl", "kcmp")]
        said = caller.attacks(*sockets, *calls, options=nested)
        assert all(each.startswith("CLOSED") for each in said.values()), said
        within = f"{self.OWN} --net python3 attacks.py each {' '.join(map(repr, sockets))}"
        assert "OPEN" not in self.inside(caller, nested, within).stdout
        assert self.inside(caller, nested, f"{self.OWN} sh -c 'ip link set lo down'").returncode != 0
