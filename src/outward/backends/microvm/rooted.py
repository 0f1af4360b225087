"""The operations that show an image's files around everything else that a sandbox shows.

The root directory inside is never the image's own: it is made anew, and only what lies beside our own things is the image's,
read-only. So no link of the image leads where something is mounted, in QEMU's sandbox or in the machine.
"""

from __future__ import annotations

import os
import posixpath
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.isolation.operations import Bind, Directory, File, Symlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.isolation.operations import Operation

OTHERS: Final = frozenset({"/dev", "/proc", "/sys"})
"""What an image has there is not shown: the machine has its own."""

NEEDED: Final = ("env", "prlimit", "setpriv", "setsid")
"""Programs in ``/usr/bin`` by which a command is started in the machine."""
_FROM: Final = (
    "They are of the packages coreutils and util-linux; images with busybox alone are for --backend docker or podman."
)

_EXECUTABLE: Final = 0o111
_SMALL: Final = 1 << 16
"""Octets up to which a file is copied: that costs less than a mount."""


def check(root: Path, name: str) -> None:
    """Raises :class:`HostError` where nothing could be started in the image ``name``, unpacked at ``root``."""
    missing = [tool for tool in NEEDED if not os.path.lexists(f"{root}/usr/bin/{tool}")]
    if missing:
        raise HostError(f"the image {name} lacks {', '.join(f'/usr/bin/{tool}' for tool in missing)}", hint=_FROM)


def rooted(root: Path, operations: Iterable[Operation]) -> Iterator[Operation]:
    """What of the image at ``root`` is seen beside what ``operations`` show."""
    taken = {path for path in map(_target, operations) if path} | OTHERS
    above = {parent for path in taken for parent in _parents(path)}
    yield from _directory(str(root), "", taken, above)


def _target(operation: Operation) -> str:
    """Where it puts something; nothing for those that put nothing anywhere."""
    return operation.target if isinstance(operation, Bind) else getattr(operation, "path", "")


def _directory(source: str, at: str, taken: set[str], above: set[str]) -> Iterator[Operation]:
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = f"{at}/{entry.name}"
            if path in taken:
                continue
            if path not in above:
                yield from _shown(entry, path)
            elif entry.is_dir(follow_symlinks=False):
                yield Directory(path)
                yield from _directory(entry.path, path, taken, above)


def _shown(entry: os.DirEntry[str], path: str) -> Iterator[Operation]:
    """Sockets, pipes and devices are not for a machine."""
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        yield Symlink(os.readlink(entry.path), path)  # noqa: PTH115 (the text of the link)
    elif stat.S_ISREG(mode) and not mode & _EXECUTABLE and entry.stat(follow_symlinks=False).st_size <= _SMALL:
        with suppress(PermissionError):  # not for us to read, so not for the machine either
            yield File(path, Path(entry.path).read_bytes())
    elif stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        yield Bind(entry.path, path)


def _parents(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != "/":
        yield path
