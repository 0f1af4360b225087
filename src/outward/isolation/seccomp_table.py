"""Which system calls a sandbox does without, and why.

Everything else is allowed: agents run compilers, debuggers and browsers. What is here reaches past the sandbox, adds kernel
attack surface that no tool needs, or makes another filter blind. Numbers are those of the kernel's own tables
(``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``).
"""

from __future__ import annotations

import errno
from typing import Final, NamedTuple


class Refused(NamedTuple):
    """A system call that always fails with ``error``. A number is ``None`` where the architecture lacks the call."""

    name: str
    x86_64: int | None
    aarch64: int | None
    reason: str
    error: int = errno.EPERM


class MaskedArgument(NamedTuple):
    """A system call that fails when its argument number ``argument`` has one of ``bits`` set."""

    name: str
    x86_64: int
    aarch64: int
    argument: int
    bits: int
    reason: str


REFUSED: Final[tuple[Refused, ...]] = (
    Refused("clone3", 435, 435, "its flags lie in memory; ENOSYS makes libc use clone", errno.ENOSYS),
    Refused("unshare", 272, 97, "new namespaces give back capabilities"),
    Refused("setns", 308, 268, "enters other namespaces"),
    Refused("mount", 165, 40, "changes the file view"),
    Refused("umount2", 166, 39, "takes masks off"),
    Refused("pivot_root", 155, 41, "changes the file view"),
    Refused("chroot", 161, 51, "changes the file view"),
    Refused("open_tree", 428, 428, "new mount API"),
    Refused("move_mount", 429, 429, "new mount API"),
    Refused("fsopen", 430, 430, "new mount API"),
    Refused("fsconfig", 431, 431, "new mount API"),
    Refused("fsmount", 432, 432, "new mount API"),
    Refused("fspick", 433, 433, "new mount API"),
    Refused("mount_setattr", 442, 442, "makes read-only mounts writable"),
    Refused("open_tree_attr", 467, 467, "new mount API"),
    Refused("open_by_handle_at", 304, 265, "opens files by number, past masks"),
    Refused("io_uring_setup", 425, 425, "does sockets and files where this filter does not see them"),
    Refused("io_uring_enter", 426, 426, "see io_uring_setup"),
    Refused("io_uring_register", 427, 427, "see io_uring_setup"),
    Refused("add_key", 248, 217, "kernel keyrings are not confined by namespaces"),
    Refused("request_key", 249, 218, "kernel keyrings are not confined by namespaces"),
    Refused("keyctl", 250, 219, "kernel keyrings are not confined by namespaces"),
    Refused("bpf", 321, 280, "kernel attack surface"),
    Refused("perf_event_open", 298, 241, "kernel attack surface; sees other processes"),
    Refused("userfaultfd", 323, 282, "makes kernel races winnable"),
    Refused("syslog", 103, 116, "reads the host's kernel log"),
    Refused("kexec_load", 246, 104, "replaces the kernel"),
    Refused("kexec_file_load", 320, 294, "replaces the kernel"),
    Refused("init_module", 175, 105, "loads kernel code"),
    Refused("finit_module", 313, 273, "loads kernel code"),
    Refused("delete_module", 176, 106, "unloads kernel code"),
    Refused("swapon", 167, 224, "belongs to the host"),
    Refused("swapoff", 168, 225, "belongs to the host"),
    Refused("reboot", 169, 142, "belongs to the host"),
    Refused("acct", 163, 89, "belongs to the host"),
    Refused("quotactl", 179, 60, "belongs to the host"),
    Refused("quotactl_fd", 443, 443, "belongs to the host"),
)

NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. (NEWTIME cannot be asked for through clone.)"""

MASKED_ARGUMENTS: Final[tuple[MaskedArgument, ...]] = (
    MaskedArgument("clone", 56, 220, 0, NEW_NAMESPACES, "new namespaces give back capabilities"),
)

IOCTL: Final = {"x86_64": 16, "aarch64": 29}
REFUSED_IOCTLS: Final[tuple[tuple[str, int, str], ...]] = (
    ("TIOCSTI", 0x5412, "types into the caller's terminal"),
    ("TIOCLINUX", 0x541C, "pastes into the caller's console"),
)

SOCKET: Final = {"x86_64": (41, 53), "aarch64": (198, 199)}
"""socket and socketpair: both take the family first and the protocol third."""

FAMILIES: Final[tuple[tuple[str, int, int | None, str], ...]] = (
    # name, number, the only protocol (None for any), why it is allowed. All other families are refused: AF_VSOCK and others
    # ignore network namespaces.
    ("AF_UNIX", 1, None, "within the sandbox: the host's sockets are out of its view and its network namespace"),
    ("AF_INET", 2, None, "the gateway"),
    ("AF_INET6", 10, None, "the gateway"),
    ("AF_NETLINK", 16, 0, "NETLINK_ROUTE only: programs list their interfaces"),
)
