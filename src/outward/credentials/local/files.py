"""Files that are ours alone: read through the descriptor that was checked, written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_SIZE: Final = 8 * 1024 * 1024
"""Octets of a file that is read: far more than anybody's secrets, far less than our memory."""
_LOCK: Final = "lock"
_POLL: Final = 0.05
"""Seconds between two looks at a lock: a thread that waits in the kernel could not be called back."""


def prepare(directory: Path) -> None:
    """Makes the directory (0700) if it is missing. Raises :class:`HostError` unless it is ours alone."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        raise HostError(f"cannot use {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise HostError(f"{directory} is not a directory of yours", hint="Move it away, or set OUTWARD_HOME.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise HostError(f"others can look into {directory}", hint=f"chmod 700 {directory}")


def read(path: Path, *, limit: int = MAX_SIZE) -> bytes | None:
    """The content; ``None`` if there is no such file.

    Raises :class:`HostError` for a symbolic link, for what is not a file of ours, and where others can read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"cannot read {path}: {_reason(path, error)}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise HostError(f"{path} is not a file of yours")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise HostError(f"others can read {path}, and may have", hint=f"chmod 600 {path}")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise HostError(f"{path} is larger than {limit} bytes")
    return content


def write(path: Path, content: bytes, *, replace: bool = True) -> None:
    """All of the content or none of it, also when the machine dies meanwhile.

    Without ``replace`` nothing that is there is overwritten. Raises :class:`HostError`; what was there before stays,
    unless it is only not certain that the new one outlives the machine.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                temporary.rename(path)
            else:
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise HostError(
            f"cannot write {path}: {error.strerror}",
            hint="" if isinstance(error, FileExistsError) else "What was there before is as it was.",
        ) from error
    try:
        _sync(path.parent)
    except OSError as error:
        raise HostError(f"{path} is written, but may be lost if the machine dies now: {error.strerror}") from error


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Keeps other processes, and other threads, from changing what is in ``directory`` meanwhile."""
    with _lock(directory / _LOCK) as descriptor:
        _flock(descriptor, fcntl.LOCK_EX)
        yield


async def take_turn(directory: Path, name: str) -> contextlib.ExitStack:
    """Waits until it is our turn with ``name``, of all tasks and processes; for as long as the others take.

    The turn ends with the stack.
    """
    import asyncio

    prepare(directory)
    with contextlib.ExitStack() as stack:
        descriptor = stack.enter_context(_lock(directory / f"{_LOCK}-{sha256(name.encode()).hexdigest()[:16]}"))
        while not _try(descriptor):  # noqa: ASYNC110 (who has it may be another process, which sets no event)
            await asyncio.sleep(_POLL)
        return stack.pop_all()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[int]:
    """A lock's file. The lock itself goes with the descriptor, also when the process is killed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(f"cannot write in {path.parent}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flock(descriptor: int, operation: int) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        raise HostError(
            f"cannot lock what is kept here: {error.strerror}", hint="Set OUTWARD_HOME to a file system that has locks."
        ) from error


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(path: Path, error: OSError) -> str:
    return "it is a symbolic link" if path.is_symlink() else str(error.strerror)
