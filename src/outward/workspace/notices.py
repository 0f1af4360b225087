"""What the kernel tells of directories: that a name has come into being in them (inotify(7))."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = struct.Struct("=iIII")
_READ: Final = 1 << 16

_MOVED_TO: Final = 0x80
_CREATE: Final = 0x100
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000
_ONLY_DIRECTORY: Final = 0x1000000
_NO_LINK: Final = 0x2000000
_IS_DIRECTORY: Final = 0x40000000


class Notice(NamedTuple):
    """``name`` is new in the directory of number ``watch``. ``lost``: some notices were, so that anything may be new.
    ``gone``: the directory is, or nobody watches it any more."""

    watch: int
    name: str
    directory: bool = False
    lost: bool = False
    gone: bool = False


class Notices:
    """Tells what is new in directories. Its descriptor is readable when there is something to tell."""

    def __init__(self) -> None:
        self._descriptor: Final = kernel.inotify()

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def watch(self, directory: str) -> int:
        """Tells of ``directory`` from now on, under the number that this gives, which stays the same if it is moved.

        Raises :class:`OSError`, with ``ENOSPC`` where the user may watch no more (fs.inotify.max_user_watches).
        """
        return kernel.inotify_add(self._descriptor, directory, _CREATE | _MOVED_TO | _ONLY_DIRECTORY | _NO_LINK)

    def read(self) -> Iterator[Notice]:
        """What there is to tell, in order."""
        try:
            octets = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return
        yield from parse(octets)


def parse(octets: bytes) -> Iterator[Notice]:
    """The notices in what was read at once (struct inotify_event)."""
    start = 0
    while start < len(octets):
        watch, mask, _, length = _HEADER.unpack_from(octets, start)
        start += _HEADER.size
        name = os.fsdecode(octets[start : start + length].rstrip(b"\0"))
        start += length
        yield Notice(watch, name, bool(mask & _IS_DIRECTORY), bool(mask & _OVERFLOW), bool(mask & _IGNORED))
