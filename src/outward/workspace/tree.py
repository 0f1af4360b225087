"""A directory tree that somebody else may be changing, looked at and changed without ever following a symbolic link.

Paths are relative to its root, without a leading slash. Every one is resolved by the kernel beneath the root (openat2(2)).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from outward import kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_CHUNK: Final = 1 << 20


class Tree:
    """The tree at ``root``, which may be reached by links itself. A context manager."""

    def __init__(self, root: str) -> None:
        self._root: Final = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._root)

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[int]:
        """A descriptor for ``path``; raises :class:`OSError`, with ``ELOOP`` for a link anywhere on the way."""
        descriptor = kernel.open_beneath(self._root, path, flags | os.O_NOFOLLOW)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """The directory of ``path``, open, and the name in it."""
        directory, _, name = path.rpartition("/")
        with self.opened(directory, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            yield descriptor, name

    def status(self, path: str) -> os.stat_result | None:
        """What is at ``path``, the link itself where it is one; nothing where no real directories lead to it."""
        try:
            with self.opened(path, os.O_PATH) as descriptor:
                return os.fstat(descriptor)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        with self.opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208 (a descriptor)

    def link(self, path: str) -> str:
        """The text of a symbolic link."""
        with self.opened(path, os.O_PATH) as descriptor:
            return os.readlink("", dir_fd=descriptor)

    def read(self, path: str, limit: int) -> bytes:
        """The first ``limit`` octets of a file."""
        with (
            self.opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor,
            open(descriptor, "rb", closefd=False) as file,
        ):
            return file.read(limit)

    def same_content(self, path: str, other: Tree) -> bool:
        """Whether the files at ``path`` here and in another tree hold the same."""
        with (
            self.opened(path, os.O_RDONLY | os.O_NONBLOCK) as ours,
            other.opened(path, os.O_RDONLY | os.O_NONBLOCK) as theirs,
        ):
            while chunk := os.read(ours, _CHUNK):
                if chunk != os.read(theirs, _CHUNK):
                    return False
            return not os.read(theirs, 1)


def is_directory(status: os.stat_result | None) -> bool:
    """Whether there is a directory."""
    return status is not None and stat.S_ISDIR(status.st_mode)


def is_file(status: os.stat_result | None) -> bool:
    """Whether there is a regular file."""
    return status is not None and stat.S_ISREG(status.st_mode)


def is_link(status: os.stat_result | None) -> bool:
    """Whether there is a symbolic link."""
    return status is not None and stat.S_ISLNK(status.st_mode)
