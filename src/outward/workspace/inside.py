"""A sandbox's own files, for a process of ours that has entered it to cover what the agent must not see or write."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.workspace.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG})
"""Nothing is there, or nothing that anybody in the sandbox could reach by this path."""

Identity = tuple[int, int]


class Inside:
    """What the process ``pid`` sees from its root directory. Making one moves the *calling process* there for good; it must have
    no threads.

    ``nothing`` are a file and a directory inside, both empty, that are shown in place of what is hidden; ``covers`` are others
    that were shown so from the start. Raises :class:`OSError`.

    Paths are absolute. None is reached over a link: whoever is inside could have made it. Where nothing is at a path (any
    more), nothing is done.
    """

    def __init__(self, pid: int, nothing: tuple[str, str], covers: Iterable[Identity]) -> None:
        mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Root stays who it is: in an engine's user namespace it may be nobody, without power over files of nobody's.
            kernel.join(mounts, kernel.CLONE_NEWNS)
        except PermissionError:  # it is our own, in a user namespace below ours, and only there we have power over it
            owner = kernel.owner(mounts)
            kernel.join(owner, kernel.CLONE_NEWUSER)
            kernel.join(mounts, kernel.CLONE_NEWNS)
            os.close(owner)
        os.fchdir(root)
        os.chroot(".")  # some shut themselves in once more
        os.close(mounts)
        self._root: Final = root
        self._nothing: Final = tuple(kernel.open_beneath(self._root, path[1:], os.O_PATH) for path in nothing)
        self._covers: Final = {*covers, *(_identity(os.fstat(each)) for each in self._nothing)}

    def hide(self, path: str) -> bool:
        """Covers ``path`` with something empty; whether there is anything."""
        try:
            with self._opened(path) as target:
                status = os.fstat(target)
                if _identity(status) not in self._covers:
                    kernel.mount_read_only(self._nothing[stat.S_ISDIR(status.st_mode)], target)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return False
        return True

    def fix(self, path: str) -> None:
        """Makes ``path`` read-only."""
        with _unless_gone(), self._opened(path) as target:
            if not os.fstatvfs(target).f_flag & os.ST_RDONLY:
                kernel.mount_read_only(target, target)

    def white_out(self, path: str) -> None:
        """Makes a name of a layer stand for "not there", which is what is known of it by now (see :mod:`.overlay`): one that is
        made and removed stays removed, whatever the directory below comes to hold."""
        with _unless_gone(), suppress(FileExistsError), Tree("/") as tree, tree.parent(path[1:]) as (directory, name):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory))
            os.unlink(name, dir_fd=directory)

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        descriptor = kernel.open_beneath(self._root, path[1:], os.O_PATH | os.O_NOFOLLOW)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise


def _identity(status: os.stat_result) -> Identity:
    return (status.st_dev, status.st_ino)
