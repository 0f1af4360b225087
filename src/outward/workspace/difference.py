"""Texts before and after, as a unified diff."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.workspace.changes import Change, Kind
from outward.workspace.tree import Tree, is_file, is_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.workspace.layer import Layer

LIMIT: Final = 1 << 18
"""Octets of a file that are compared line by line; larger ones are only named."""
_LINES: Final = 5_000
"""Lines likewise: an agent could choose texts for which comparing takes the square of their number."""


class Difference(NamedTuple):
    """``lines`` of the diff, without line ends; none where ``note`` says why there are none."""

    change: Change
    lines: tuple[str, ...]
    note: str = ""

    @property
    def added(self) -> int:
        """Lines that are new."""
        return sum(line.startswith("+") for line in self.lines[2:])

    @property
    def removed(self) -> int:
        """Lines that are gone."""
        return sum(line.startswith("-") for line in self.lines[2:])


def differences(layer: Layer, changes: Iterable[Change]) -> Iterator[Difference]:
    """The differences of those changes that have a text."""
    with Tree(layer.upper) as upper, Tree(layer.workspace) as lower:
        for change in changes:
            if change.type != "directory" and change.kind is not Kind.MODE and not change.obstacle:
                yield _difference(change, upper, lower)


def _difference(change: Change, upper: Tree, lower: Tree) -> Difference:
    if change.hidden:
        return Difference(change, (), "hidden")  # what is there is a secret on a screen, too
    try:
        before = _content(lower, change.path, change.before)
        after = _content(upper, change.path, change.after)
    except OSError as error:
        return Difference(change, (), f"cannot be read: {error.strerror}")
    if len(before) > LIMIT or len(after) > LIMIT:
        return Difference(change, (), "too large to show")
    if b"\0" in before or b"\0" in after:
        return Difference(change, (), "binary")
    old, new = _lines(before), _lines(after)
    if len(old) > _LINES or len(new) > _LINES:
        return Difference(change, (), "too long to show")
    names = (
        f"a/{change.path}" if change.before is not None else "/dev/null",
        f"b/{change.path}" if change.after is not None else "/dev/null",
    )
    return Difference(change, tuple(difflib.unified_diff(old, new, *names, lineterm="")))


def _content(tree: Tree, path: str, status: object) -> bytes:
    found = tree.status(path) if status is not None else None
    if is_link(found):
        return f"symbolic link to {tree.link(path)}\n".encode(errors="surrogateescape")
    return tree.read(path, LIMIT + 1) if is_file(found) else b""


def _lines(content: bytes) -> list[str]:
    lines = content.decode(errors="replace").split("\n")
    if lines[-1]:
        lines.append("\\ No newline at end of file")
    else:
        lines.pop()
    return lines
