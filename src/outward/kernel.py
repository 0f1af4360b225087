"""The few kernel calls that the standard library does not wrap on every supported Python: for cages, layers and safe paths.

Linux only. Each raises :class:`OSError` as the standard library's own wrappers do.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x20000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

_PR_SET_PDEATHSIG: Final = 1
_NS_GET_USERNS: Final = 0xB701
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_RUNNING: Final = 0x40

_MS_NOSUID: Final = 0x2
_MS_NODEV: Final = 0x4
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 0x80000

_SYS_OPEN_TREE: Final = 428  # these are the same on every architecture that this program runs on
_SYS_MOVE_MOUNT: Final = 429
_SYS_OPENAT2: Final = 437
_SYS_MOUNT_SETATTR: Final = 442
_AT_EMPTY_PATH: Final = 0x1000
_OPEN_TREE_CLONE: Final = 0x1
_MOVE_MOUNT_EMPTY_PATHS: Final = 0x4 | 0x40
_MOUNT_ATTR_RDONLY: Final = 0x1
_MOUNT_ATTR_NOSUID: Final = 0x2
_MOUNT_ATTR_NODEV: Final = 0x4
_MOUNT_ATTR_IDMAP: Final = 0x100000
_MNT_DETACH: Final = 0x2
_UMOUNT_NOFOLLOW: Final = 0x8
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def unshare(flags: int) -> None:
    """Moves the calling process into new namespaces (unshare(2))."""
    _check(_libc.unshare(flags))


def join(namespace: int, kind: int) -> None:
    """Moves the calling process into the namespace behind a descriptor (setns(2)). ``kind`` is one of the flags above."""
    _check(_libc.setns(namespace, kind))


def owner(namespace: int) -> int:
    """A descriptor of the user namespace that owns the namespace behind a descriptor (ioctl_ns(2))."""
    return fcntl.ioctl(namespace, _NS_GET_USERNS)


def open_process(number: int) -> int:
    """A descriptor of a process (pidfd_open(2)). Raises :class:`ProcessLookupError` where it has ended.

    Older kernels (6.1, say) answer ``EINVAL`` as long as its number is still that of a process group or a session.
    """
    try:
        return os.pidfd_open(number)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error


def identifier(process: int) -> int | None:
    """The process id behind a descriptor (pidfd_open(2)); nothing where it has ended, or is no process's."""
    for line in Path(f"/proc/self/fdinfo/{process}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pid" and int(value) > 0:
            return int(value)
    return None


def children(process: int) -> list[int]:
    """The process ids of what the main thread of a process has started and not waited for (proc_tid_children(5)); none where it
    has ended, or this is not ours to know."""
    try:
        return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]
    except OSError:
        return []


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when the *thread* that forked it ends (PR_SET_PDEATHSIG).

    The kernel forgets this when credentials change, so it is called again after each such step. ``parent`` closes the race
    with a parent that died before the call: raises :class:`ProcessLookupError` then.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        raise ProcessLookupError("the parent process is gone")


def map_own_ids(uid: int, gid: int, *, as_root: bool = False) -> None:
    """Maps the caller's own user and group to themselves, or to root's numbers, in a user namespace that was just created
    (user_namespaces(7)).

    One user alone is the only mapping that needs no privilege, and therefore the same one for root.
    """
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{0 if as_root else uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{0 if as_root else gid} {gid} 1")


def loopback_up() -> None:
    """Brings ``lo`` up in the current network namespace (netdevice(7))."""
    request = struct.pack("16sH14x", b"lo", _IFF_UP | _IFF_LOOPBACK | _IFF_RUNNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, request)


def interface_is_up(name: str) -> bool:
    """Whether the interface of that name is up in the current network namespace."""
    request = struct.pack("16sH14x", name.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        answer = fcntl.ioctl(handle, _SIOCGIFFLAGS, request)
    return bool(struct.unpack_from("=H", answer, 16)[0] & _IFF_UP)


def new_mount_namespace() -> None:
    """Moves the calling process into a mount namespace of its own; nothing that it mounts is seen elsewhere (unshare(2)).

    Needs CAP_SYS_ADMIN in the current user namespace.
    """
    _check(_libc.unshare(CLONE_NEWNS))
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None))


def mount(kind: str, target: str, options: str) -> None:
    """Mounts a file system without devices and set-user-id programs at ``target`` (mount(2))."""
    _check(_libc.mount(kind.encode(), os.fsencode(target), kind.encode(), _MS_NOSUID | _MS_NODEV, os.fsencode(options)))


def open_beneath(root: int, path: str, flags: int) -> int:
    """A descriptor for ``path`` below the directory ``root`` (openat2(2)).

    No component may be a symbolic link and none may lead out, whoever is changing the tree meanwhile: :class:`OSError` with
    ``ELOOP`` or ``EXDEV`` then.
    """
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, resolve)
    return _check(_libc.syscall(_SYS_OPENAT2, root, os.fsencode(path) or b".", how, ctypes.c_size_t(len(how))))


def sync_file_system(descriptor: int) -> None:
    """Waits until the file system of an open file is on disk (syncfs(2))."""
    _check(_libc.syncfs(descriptor))


def mount_read_only(source: int, target: int) -> None:
    """Shows what the descriptor ``source`` stands for, without what is mounted below it, in place of ``target``: read-only.

    Both are open in the caller's mount namespace; no path is looked up again (open_tree(2), move_mount(2), Linux 5.12).
    """
    clone = clone_mount(source)
    try:
        _set_attributes(clone, _MOUNT_ATTR_RDONLY)
        attach(clone, target)
    finally:
        os.close(clone)


def clone_mount(source: int) -> int:
    """A descriptor of a new mount that shows what ``source`` stands for, without what is mounted below it. It is mounted nowhere,
    and gone with the descriptor unless it is attached (open_tree(2)).
    """
    return _check(_libc.syscall(_SYS_OPEN_TREE, source, b"", _OPEN_TREE_CLONE | _AT_EMPTY_PATH | os.O_CLOEXEC))


def attach(clone: int, target: int) -> None:
    """Mounts such a clone in place of what the descriptor ``target`` stands for (move_mount(2))."""
    _check(_libc.syscall(_SYS_MOVE_MOUNT, clone, b"", target, b"", _MOVE_MOUNT_EMPTY_PATHS))


def restrict(clone: int, *, read_only: bool) -> None:
    """Takes devices and set-user-id programs from such a clone, and if ``read_only`` whoever writes (mount_setattr(2))."""
    _set_attributes(clone, _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (_MOUNT_ATTR_RDONLY if read_only else 0))


def map_users(clone: int, users: int) -> None:
    """Has the owners of files in such a clone appear as the user namespace ``users`` maps them: those on disk are inside of it,
    those in the clone outside (mount_setattr(2), MOUNT_ATTR_IDMAP).

    Needs CAP_SYS_ADMIN where the file system was mounted. ``EINVAL`` says that the file system cannot, ``EPERM`` also that it
    is mapped already.
    """
    _set_attributes(clone, _MOUNT_ATTR_IDMAP, users)


def _set_attributes(clone: int, attributes: int, users: int = 0) -> None:
    packed = struct.pack("=QQQQ", attributes, 0, 0, users)
    size = ctypes.c_size_t(len(packed))
    _check(_libc.syscall(_SYS_MOUNT_SETATTR, clone, b"", _AT_EMPTY_PATH, packed, size))


def unmount(target: str) -> None:
    """Takes away what is mounted at ``target`` with all below it; whoever is in there stays (umount2(2), MNT_DETACH)."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW))


def inotify() -> int:
    """A descriptor that tells what happens in directories (inotify_init1(2)); reading it does not block."""
    return _check(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))


def inotify_add(descriptor: int, directory: str, events: int) -> int:
    """The number under which it tells of a directory, always the same one for the same directory (inotify_add_watch(2))."""
    return _check(_libc.inotify_add_watch(descriptor, os.fsencode(directory), ctypes.c_uint32(events)))
