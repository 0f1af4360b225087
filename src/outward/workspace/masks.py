"""The layer of what does not exist for an agent: a whiteout for every hidden path, between the workspace and what is written.

A whiteout also stands where nothing is yet but a secret usually comes to lie: a file of such a name that appears outside
while the agent runs stays out of its sight, and the agent may still make one of its own.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from outward.workspace.hidden import BESIDE
from outward.workspace.overlay import WHITEOUT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_WHITEOUT_MODE = stat.S_IFCHR | 0o000


def mask(layer: str, workspace: str, hidden: Iterable[str], awaited: Collection[str]) -> None:
    """Makes the layer in the empty directory ``layer``.

    ``hidden`` are paths relative to ``workspace``. ``awaited`` are names that are hidden also where they do not exist yet: in
    the workspace itself, and those of :data:`~outward.workspace.hidden.BESIDE` wherever something is hidden. Directories
    look as those of the workspace do. Raises :class:`OSError`.
    """
    _Masks(layer, workspace, awaited).make(hidden)


class _Masks:
    def __init__(self, layer: str, workspace: str, awaited: Collection[str]) -> None:
        self._layer = layer
        self._workspace = workspace
        self._awaited = awaited
        self._beside = [name for name in awaited if name in BESIDE]
        self._first = ""
        self._directories: dict[str, None] = {}
        self._whiteouts: set[str] = set()

    def make(self, hidden: Iterable[str]) -> None:
        self._directory("")
        for path in hidden:
            self._directory(os.path.dirname(path))  # noqa: PTH120 (thousands)
            self._whiteout(path)
        holding = {"", *map(os.path.dirname, self._whiteouts)}
        for directory in self._directories:
            if directory not in holding:
                continue
            for name in self._beside if directory else self._awaited:
                path = f"{directory}/{name}" if directory else name
                if not os.path.lexists(f"{self._workspace}/{path}"):
                    self._whiteout(path)
        for directory in reversed(self._directories):  # children first: making them changes the parent's time
            self._like_the_workspace_s(directory)

    def _directory(self, path: str) -> None:
        if path in self._directories:
            return
        if path:
            self._directory(os.path.dirname(path))  # noqa: PTH120
            os.mkdir(f"{self._layer}/{path}", 0o700)  # noqa: PTH102
        self._directories[path] = None

    def _whiteout(self, path: str) -> None:
        if path in self._whiteouts or path in self._directories:
            return
        self._whiteouts.add(path)
        target = f"{self._layer}/{path}"
        if self._first:
            os.link(self._first, target)
        else:
            os.mknod(target, _WHITEOUT_MODE, WHITEOUT)
            self._first = target

    def _like_the_workspace_s(self, directory: str) -> None:
        status = os.stat(f"{self._workspace}/{directory}", follow_symlinks=False)  # noqa: PTH116
        os.chmod(f"{self._layer}/{directory}", stat.S_IMODE(status.st_mode) & 0o777)  # noqa: PTH101
        os.utime(f"{self._layer}/{directory}", ns=(status.st_atime_ns, status.st_mtime_ns))
