"""The operations that show an image's files around everything else that a sandbox shows.

The root directory inside is never the image's own: it is made anew, and only what lies beside our own things is the image's,
read-only. So no link of the image leads where something is mounted, by what builds the sandbox or inside.
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.isolation.operations import Bind, Directory, File, Symlink, target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.isolation.images import Image
    from outward.isolation.operations import Operation

OTHERS: Final = frozenset({"/dev", "/proc", "/sys"})
"""What an image has there is not shown: sandboxes have their own."""

_FROM: Final = (
    "They are of the packages coreutils and util-linux; images with busybox alone are for --backend docker or podman."
)

_EXECUTABLE: Final = 0o111
_SMALL: Final = 1 << 16
"""Octets up to which a file is copied: that costs less than a mount."""


def check(image: Image, root: Path, needed: Iterable[str], operations: Iterable[Operation]) -> None:
    """Raises :class:`HostError` where nothing could be started in ``image``, which lies at ``root``: ``needed`` are programs in
    ``/usr/bin``; and where an agent could exchange what is looked at here before it is shown.
    """
    missing = [tool for tool in needed if not os.path.lexists(f"{root}/usr/bin/{tool}")]
    if missing:
        lacking = ", ".join(f"/usr/bin/{tool}" for tool in missing)
        raise HostError(f"the image {image.name} lacks {lacking}", hint=_FROM)
    if root != image.source:  # it was unpacked by us
        return
    for operation in operations:
        if (
            isinstance(operation, Bind)
            and operation.writable
            and root.is_relative_to(os.path.realpath(operation.source))
        ):
            raise HostError(
                f"the image {image.name} lies in {operation.source}, where agents write",
                hint=f"Keep it elsewhere, or pack it into a file: tar -C {root} -cf FILE .",
            )


def rooted(root: Path, operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """What of the image at ``root`` is seen beside what ``operations`` show. Raises :class:`HostError` where we may not look."""
    taken = {path for path in map(target_of, operations) if path} | OTHERS
    above = {parent for path in taken for parent in _parents(path)}
    try:
        return tuple(_directory(str(root), "", taken, above))
    except OSError as error:
        raise HostError(f"cannot look through the image at {root}: {error.filename}: {error.strerror}") from error


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
    """Sockets, pipes and devices are not for a sandbox; nor is what is not for us to read."""
    status = entry.stat(follow_symlinks=False)
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        yield Symlink(os.readlink(entry.path), path)  # noqa: PTH115 (the text of the link)
    elif stat.S_ISDIR(mode):
        if os.access(entry.path, os.R_OK | os.X_OK):
            yield Bind(entry.path, path)
    elif stat.S_ISREG(mode) and os.access(entry.path, os.R_OK):
        if status.st_size <= _SMALL and not mode & _EXECUTABLE:
            yield File(path, Path(entry.path).read_bytes())
        else:
            yield Bind(entry.path, path)


def _parents(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != "/":
        yield path
