"""Who may write: the directory's owner; and of several processes, one for each session.

A writer holds a lock on the newest file of its session for as long as it lives. Files are made, taken over and removed under
a lock on the directory, so that no two processes do so at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def prepare(directory: Path) -> None:
    """Makes the directory if it is missing. Raises :class:`HostError` if others can write to it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o022:
        raise HostError(f"others can write to {directory}", hint=f"chmod 700 {directory}")


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Keeps other processes from making, taking over or removing files of ``directory`` meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create(path: Path) -> int:
    """A new file, open for appending and locked."""
    return _claim(os.open(path, _FLAGS | os.O_EXCL, 0o600), path)


def take(path: Path) -> int:
    """A file that may exist, open for appending and locked. Raises :class:`HostError` if it is not ours alone."""
    return _claim(os.open(path, _FLAGS, 0o600), path)


def is_written(path: Path) -> bool:
    """Whether a process holds the lock on ``path``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _claim(descriptor: int, path: Path) -> int:
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
            raise HostError(f"{path} is not a file of yours alone")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise HostError(f"others can use {path}", hint=f"chmod 600 {path}")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise HostError(f"another process writes {path}", hint="Give each session a name of its own.") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
