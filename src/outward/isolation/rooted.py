"""The operations that show an image's files around everything else that a sandbox shows.

The root directory inside is never the image's own: it is made anew, and only what lies beside our own things is the image's,
read-only. So no link of the image leads where something is mounted, by what builds the sandbox or inside.
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
    """Sockets, pipes and devices are not for a sandbox."""
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        yield Symlink(os.readlink(entry.path), path)  # noqa: PTH115 (the text of the link)
    elif stat.S_ISREG(mode) and not mode & _EXECUTABLE and entry.stat(follow_symlinks=False).st_size <= _SMALL:
        with suppress(PermissionError):  # not for us to read, so not for the sandbox either
            yield File(path, Path(entry.path).read_bytes())
    elif stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        yield Bind(entry.path, path)


def _parents(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != "/":
        yield path
