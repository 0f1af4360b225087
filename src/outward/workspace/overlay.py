"""One directory made of several: what is written goes to the topmost, and the others stay as they are.

The kernel's overlayfs (Documentation/filesystems/overlayfs.rst). With ``userxattr`` it needs no privilege outside of a user
namespace, and its marks are the same whoever mounts: a layer that root's docker daemon wrote is read like one of our own.
"""

from __future__ import annotations

import os
import re
import stat

from outward import kernel
from outward.core.records import NamedTuple

WHITEOUT = os.makedev(0, 0)
"""The device number of the character device that stands for "not there"."""


class Overlay(NamedTuple):
    """``lower`` are the directories that stay as they are, topmost first. Writes go to ``upper``; ``work`` is an empty
    directory on the same file system, for the kernel alone."""

    lower: tuple[str, ...]
    upper: str
    work: str

    def options(self) -> str:
        """The text of ``-o`` for mount(8), docker's ``--opt o=`` (a volume of type ``overlay``), and the like."""
        lower = ":".join(_escaped(path, ":") for path in self.lower)
        return f"lowerdir={lower},upperdir={_escaped(self.upper)},workdir={_escaped(self.work)},userxattr"

    def mount(self, target: str) -> None:
        """Mounts it at ``target``, in a mount namespace in which this is allowed (see
        :func:`~outward.kernel.new_mount_namespace`). Raises :class:`OSError`.

        The kernel takes a page of options and gives some characters a meaning: it gets descriptors in place of the paths.
        """
        held = [
            os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (*self.lower, self.upper, self.work)
        ]
        try:
            *lower, upper, work = (f"/proc/self/fd/{descriptor}" for descriptor in held)
            kernel.mount("overlay", target, Overlay(tuple(lower), upper, work).options())
        finally:
            for descriptor in held:
                os.close(descriptor)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a file of a layer stands for "not there"."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == WHITEOUT


def is_opaque(directory: int) -> bool:
    """Whether a directory of a layer, open as a descriptor, shows nothing of the one below it."""
    try:
        return os.getxattr(directory, "user.overlay.opaque") == b"y"
    except OSError:
        return False


def was_copied(file: int) -> bool:
    """Whether a file of a layer, open as a descriptor, began as a copy of the one below it."""
    try:
        return bool(os.getxattr(file, "user.overlay.origin"))
    except OSError:
        return False


def _escaped(path: str, more: str = "") -> str:
    return re.sub(rf"([\\,{more}])", r"\\\1", path)
