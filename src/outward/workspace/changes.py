"""What a layer changes, found by comparing it with the workspace as it is now.

Nothing is remembered between two looks: what has been applied already is no change any more, so that whatever was interrupted
can simply be done again.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.workspace.overlay import is_opaque, is_whiteout, was_copied
from outward.workspace.suspicious import suspicions
from outward.workspace.tree import Tree, is_directory, is_file, is_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.workspace.layer import Layer

_PERMISSIONS: Final = 0o777
"""What of a mode is ever taken over: no set-user-id bit comes out of a sandbox."""

HIDDEN: Final = "it is hidden from the agent, who never saw what is there"
HOLDS_HIDDEN: Final = "something in it is hidden from the agent"
HOLDS_CHANGED: Final = "something in it was changed since the session began"
UNREADABLE: Final = "it cannot be read"


class Kind(StrEnum):
    """What happened to a path. ``type``: there is something of another type, such as a link in place of a file."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    MODE = "mode"
    TYPE = "type"


class Change(NamedTuple):
    """One path. ``before`` is what the workspace has, ``after`` what the layer has.

    ``suspicions`` are reasons to look twice. ``conflict`` says why applying it would overwrite what the agent did not know;
    ``hidden`` that it could not know, since it was hidden. ``obstacle`` says why it can never be applied. Empty if not.
    """

    path: str
    kind: Kind
    before: os.stat_result | None
    after: os.stat_result | None
    suspicions: tuple[str, ...] = ()
    conflict: str = ""
    hidden: bool = False
    obstacle: str = ""

    @property
    def type(self) -> str:
        """What it is, or was: ``file``, ``directory``, ``symlink`` or ``special``."""
        status = self.after or self.before
        if is_file(status):
            return "file"
        if is_directory(status):
            return "directory"
        return "symlink" if is_link(status) else "special"


def changes(layer: Layer) -> list[Change]:
    """All changes of a layer, by path."""
    with Tree(layer.upper) as upper, Tree(layer.workspace) as lower:
        return sorted(_Comparison(layer, upper, lower).all(), key=lambda change: change.path)


class _Comparison:
    def __init__(self, layer: Layer, upper: Tree, lower: Tree) -> None:
        self._started: Final = layer.started
        self._masked: Final = frozenset(layer.masked)
        self._upper: Final = upper
        self._lower: Final = lower

    def all(self) -> Iterator[Change]:
        pending = [("", False)]
        while pending:
            directory, alone = pending.pop()
            try:
                names = self._upper.names(directory)
            except OSError:  # closed by the agent, or too deep for a path
                yield Change(directory, Kind.ADDED, None, None, obstacle=UNREADABLE)
                continue
            for path in (f"{directory}/{name}" if directory else name for name in names):
                after = self._upper.status(path)
                before = self._lower.status(path)
                if after is None:  # the layer is ours alone, so this is a path without end
                    yield Change(path, Kind.ADDED, before, None, obstacle=UNREADABLE)
                elif is_whiteout(after):
                    yield from self._deleted(path, before)
                else:
                    shut = is_directory(after) and (alone or self._is_opaque(path))
                    yield from self._there(path, before, after, shut=shut)
                    if is_directory(after):
                        pending.append((path, shut))

    def _there(
        self, path: str, before: os.stat_result | None, after: os.stat_result, *, shut: bool
    ) -> Iterator[Change]:
        """What is in the layer at ``path``; ``shut`` says of a directory that nothing of the workspace's shows through."""
        if is_directory(before) and not is_directory(after):
            yield from self._emptied(path, set())
        elif is_directory(before) and shut:
            with suppress(OSError):  # it is said to be unreadable later on
                yield from self._emptied(path, set(self._upper.names(path)))
        kind = self._kind(path, before, after)
        if kind is None:
            return
        target = self._upper.link(path) if is_link(after) else None
        obstacle = "" if is_file(after) or is_directory(after) or is_link(after) else "it is no file, directory or link"
        hidden = self._is_masked(path)
        yield Change(
            path,
            kind,
            before,
            after,
            () if is_directory(after) else tuple(suspicions(path, before, after, target)),
            HIDDEN if hidden and before is not None else self._conflict(path, before, after),
            hidden,
            obstacle,
        )

    def _kind(self, path: str, before: os.stat_result | None, after: os.stat_result) -> Kind | None:
        if before is None:
            return Kind.ADDED
        if stat.S_IFMT(before.st_mode) != stat.S_IFMT(after.st_mode):
            return Kind.TYPE
        if is_link(after):
            return Kind.MODIFIED if self._upper.link(path) != self._lower.link(path) else None
        if is_file(after) and not self._same_content(path, before, after):
            return Kind.MODIFIED
        return Kind.MODE if (before.st_mode ^ after.st_mode) & _PERMISSIONS else None

    def _same_content(self, path: str, before: os.stat_result, after: os.stat_result) -> bool:
        try:
            return before.st_size == after.st_size and self._upper.same_content(path, self._lower)
        except OSError:  # one of them cannot be read, so nobody knows
            return False

    def _deleted(self, path: str, before: os.stat_result | None) -> Iterator[Change]:
        """A path of the workspace that the agent no longer sees, and everything in it, children first."""
        found, pending = [], [(path, before)]
        while pending:
            path, before = pending.pop()
            if before is None or self._is_masked(path):
                continue
            found.append((path, before))
            if is_directory(before):
                names = self._names_below(path)
                pending += [(f"{path}/{name}", self._lower.status(f"{path}/{name}")) for name in names]
        held: set[str] = set()
        for path, before in reversed(found):
            conflict = self._conflict(path, before, None) or (HOLDS_CHANGED if path in held else "")
            if conflict:
                held.add(path.rpartition("/")[0])
            yield Change(path, Kind.DELETED, before, None, tuple(suspicions(path, before, None, None)), conflict)

    def _emptied(self, directory: str, keep: set[str]) -> Iterator[Change]:
        """Everything in a directory of the workspace that the agent no longer sees, but for ``keep``."""
        for name in self._names_below(directory):
            if name not in keep:
                path = f"{directory}/{name}"
                yield from self._deleted(path, self._lower.status(path))

    def _names_below(self, directory: str) -> list[str]:
        try:
            return self._lower.names(directory)
        except OSError:  # whatever is in there stays
            return []

    def _conflict(self, path: str, before: os.stat_result | None, after: os.stat_result | None) -> str:
        if before is None:
            return "it was deleted since the session began" if is_file(after) and self._was_copied(path) else ""
        if is_directory(before):
            return HOLDS_HIDDEN if not is_directory(after) and self._holds_masked(path) else ""
        if before.st_ctime_ns >= self._started:
            moment = datetime.fromtimestamp(before.st_ctime, UTC).astimezone()
            return f"it was changed since the session began, at {moment:%H:%M:%S}"
        return ""

    def _is_opaque(self, path: str) -> bool:
        try:
            with self._upper.opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
                return is_opaque(descriptor)
        except OSError:  # closed by the agent; whatever is in the workspace's stays
            return False

    def _was_copied(self, path: str) -> bool:
        try:
            with self._upper.opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
                return was_copied(descriptor)
        except OSError:
            return False

    def _is_masked(self, path: str) -> bool:
        pieces = path.split("/")
        return any("/".join(pieces[: count + 1]) in self._masked for count in range(len(pieces)))

    def _holds_masked(self, path: str) -> bool:
        below = (masked for masked in self._masked if masked.startswith(f"{path}/"))
        return any(self._lower.status(masked) is not None for masked in below)
