"""Which system calls a sandbox does without, and why.

Every call that :mod:`outward.isolation.syscalls` knows is allowed unless it is named here: agents run compilers, debuggers and
browsers. What is here reaches past the sandbox, adds kernel attack surface that no tool needs, or makes the filter blind. A
call that is not known, of a later kernel, does not exist (ENOSYS): nobody has looked at it yet.

Two *profiles*: ``default``, and ``nested`` for agents that bring a sandbox of their own, which needs new namespaces and
mounts. The kernel lets them change only what they made themselves: what is hidden outside stays hidden, what is read-only stays
so. It is more of the kernel to attack, though.
"""

from __future__ import annotations

import errno
from typing import Final, Literal

from outward.core.records import NamedTuple

Profile = Literal["default", "nested"]


class Refused(NamedTuple):
    """A system call that always fails with ``error``."""

    name: str
    reason: str
    error: int = errno.EPERM


class RefusedBits(NamedTuple):
    """A system call that fails (EPERM) when its argument number ``argument`` has one of ``bits`` set."""

    name: str
    argument: int
    bits: int
    reason: str


class RefusedValue(NamedTuple):
    """A system call that fails (EPERM) when its argument number ``argument`` is ``value``, which people call ``label``."""

    name: str
    argument: int
    value: int
    label: str
    reason: str


class Family(NamedTuple):
    """A family of sockets that may be made, with any type and protocol or only with these."""

    name: str
    number: int
    types: tuple[int, ...] | None
    protocols: tuple[int, ...] | None
    reason: str


REFUSED: Final = (
    # In every profile.
    Refused("clone3", "its flags lie in memory; ENOSYS makes libc use clone", errno.ENOSYS),
    Refused("open_tree", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("move_mount", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("fsopen", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("fsconfig", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("fsmount", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("fspick", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("mount_setattr", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("open_tree_attr", "new mount API; programs fall back to the old", errno.ENOSYS),
    Refused("open_by_handle_at", "opens files by number, past masks"),
    Refused("io_uring_setup", "does sockets and files where this filter does not see them"),
    Refused("io_uring_enter", "see io_uring_setup"),
    Refused("io_uring_register", "see io_uring_setup"),
    Refused("add_key", "kernel keyrings are not confined by namespaces"),
    Refused("request_key", "kernel keyrings are not confined by namespaces"),
    Refused("keyctl", "kernel keyrings are not confined by namespaces"),
    Refused("process_vm_readv", "reads the memory of other processes"),
    Refused("process_vm_writev", "writes the memory of other processes"),
    Refused("pidfd_getfd", "takes descriptors out of other processes"),
    Refused("kcmp", "tells where objects of other processes lie in the kernel"),
    Refused("bpf", "kernel attack surface"),
    Refused("perf_event_open", "kernel attack surface; sees other processes"),
    Refused("userfaultfd", "makes kernel races winnable"),
    Refused("lookup_dcookie", "for profilers of the whole machine; names files by number"),
    Refused("syslog", "reads the host's kernel log"),
    Refused("kexec_load", "replaces the kernel"),
    Refused("kexec_file_load", "replaces the kernel"),
    Refused("create_module", "loads kernel code"),
    Refused("init_module", "loads kernel code"),
    Refused("finit_module", "loads kernel code"),
    Refused("delete_module", "unloads kernel code"),
    Refused("uselib", "obsolete; maps a library as no other call does"),
    Refused("nfsservctl", "obsolete; belongs to the host"),
    Refused("iopl", "reaches hardware"),
    Refused("ioperm", "reaches hardware"),
    Refused("swapon", "belongs to the host"),
    Refused("swapoff", "belongs to the host"),
    Refused("reboot", "belongs to the host"),
    Refused("acct", "belongs to the host"),
    Refused("quotactl", "belongs to the host"),
    Refused("quotactl_fd", "belongs to the host"),
    Refused("settimeofday", "belongs to the host"),
    Refused("clock_settime", "belongs to the host"),
    Refused("vhangup", "hangs up the terminal for whoever holds it outside"),
)

NAMESPACES: Final = (
    # What a sandbox inside the sandbox is made with: refused, unless the profile is `nested`.
    Refused("unshare", "new namespaces give back capabilities"),
    Refused("setns", "enters other namespaces"),
    Refused("mount", "changes the file view"),
    Refused("umount2", "takes masks off"),
    Refused("pivot_root", "changes the file view"),
    Refused("chroot", "changes the file view"),
)

NEW_NAMESPACES: Final = RefusedBits("clone", 0, 0x7E020000, "new namespaces give back capabilities")
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, unless the profile is ``nested``.

(NEWTIME cannot be asked for through clone.)"""

_NEW_CGROUP_NAMESPACE: Final = 0x02000000
_CONTROL_GROUPS: Final = (
    "in one of its own it could mount control groups, and write what root's, or its user's, are held to"
)

NESTED: Final = (
    # What the profile `nested` refuses of what it allows.
    RefusedBits("clone", 0, _NEW_CGROUP_NAMESPACE, _CONTROL_GROUPS),
    RefusedBits("unshare", 0, _NEW_CGROUP_NAMESPACE, _CONTROL_GROUPS),
)

REFUSED_VALUES: Final = (
    RefusedValue("ioctl", 1, 0x5412, "TIOCSTI", "types into the caller's terminal"),
    RefusedValue("ioctl", 1, 0x541C, "TIOCLINUX", "pastes into the caller's console"),
    RefusedValue("ioctl", 1, 0x5423, "TIOCSETD", "loads line disciplines, kernel code that no tool needs"),
    RefusedValue("ptrace", 0, 0x0010, "PTRACE_ATTACH", "takes over processes that are not one's own child"),
    RefusedValue("ptrace", 0, 0x4206, "PTRACE_SEIZE", "takes over processes that are not one's own child"),
)

SOCKET_CALLS: Final = ("socket", "socketpair")
"""Both take the family first, the type second and the protocol third."""

SOCKET_TYPES: Final = 0xF
"""The bits of the second argument that are the type; others are flags (SOCK_CLOEXEC, SOCK_NONBLOCK)."""

_TYPES: Final = (1, 2)
_PROTOCOLS: Final = (0, 6, 17)

FAMILIES: Final = (
    # All other families are refused: AF_VSOCK and more ignore network namespaces, AF_PACKET and AF_ALG are kernel attack
    # surface. Raw sockets are refused by their type; SCTP, MPTCP and the like, most of them modules to load, by their protocol.
    Family(
        "AF_UNIX", 1, None, None, "within the sandbox: the host's sockets are out of its view and its network namespace"
    ),
    Family("AF_INET", 2, _TYPES, _PROTOCOLS, "streams and datagrams, TCP and UDP: the gateway"),
    Family("AF_INET6", 10, _TYPES, _PROTOCOLS, "streams and datagrams, TCP and UDP: the gateway"),
    Family("AF_NETLINK", 16, None, (0,), "NETLINK_ROUTE only: programs list their interfaces"),
)


def refused(profile: Profile) -> tuple[Refused, ...]:
    """The calls that always fail."""
    return REFUSED if profile == "nested" else (*REFUSED, *NAMESPACES)


def refused_bits(profile: Profile) -> tuple[RefusedBits, ...]:
    """The calls that fail with certain flags."""
    return NESTED if profile == "nested" else (NEW_NAMESPACES,)
