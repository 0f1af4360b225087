"""The kernel calls for layers and safe paths that the standard library does not wrap.

Linux only. Each raises :class:`OSError` as the standard library's own wrappers do.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_CLONE_NEWNS: Final = 0x20000
_MS_NOSUID: Final = 0x2
_MS_NODEV: Final = 0x4
_MS_REC: Final = 0x4000
_MS_SLAVE: Final = 0x80000

_SYS_OPENAT2: Final = 437  # the same on every architecture that this program runs on
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def new_mount_namespace() -> None:
    """Moves the calling process into a mount namespace of its own; nothing that it mounts is seen elsewhere (unshare(2)).

    Needs CAP_SYS_ADMIN in the current user namespace.
    """
    _check(_libc.unshare(_CLONE_NEWNS))
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
