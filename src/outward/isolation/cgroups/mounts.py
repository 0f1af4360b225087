"""Where the control group file systems are mounted, and which directory in them is ours (cgroups(7))."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mount(NamedTuple):
    """One hierarchy: its mount ``point``, and the directory ``own`` of the calling process, below it or the same."""

    point: str
    own: str


class Mounts(NamedTuple):
    """``unified`` is version 2; ``controllers`` are those that version 1 has mounted, by name."""

    unified: Mount | None
    controllers: Mapping[str, Mount]

    @classmethod
    def read(cls, process: Path = Path("/proc/self")) -> Self:
        """From ``mountinfo`` and ``cgroup`` of a process directory."""
        try:
            mountinfo = (process / "mountinfo").read_text(errors="surrogateescape")
            cgroup = (process / "cgroup").read_text(errors="surrogateescape")
        except OSError:  # a kernel without control groups
            return cls(None, {})
        paths = {name: path for names, path in _groups(cgroup) for name in names}
        unified, controllers = None, {}
        for line in mountinfo.splitlines():
            before, _, after = line.partition(" - ")
            (_, _, _, root, point, *_), (kind, _, options) = before.split(), after.split(None, 2)
            if kind == "cgroup2" and "" in paths:
                unified = Mount(point, _own(point, root, paths[""]))
            elif kind == "cgroup":
                for name in {*options.split(",")} & paths.keys():
                    controllers[name] = Mount(point, _own(point, root, paths[name]))
        return cls(unified, controllers)


def _groups(text: str) -> list[tuple[list[str], str]]:
    """Lines of ``cgroup``: ``3:cpu,cpuacct:/user`` for version 1, ``0::/user`` for version 2, whose name is empty here."""
    return [(names.split(","), path) for _, names, path in (line.split(":", 2) for line in text.splitlines())]


def _own(point: str, root: str, path: str) -> str:
    """``path`` as it is seen at ``point``, where ``root`` of the hierarchy is mounted; the mount itself where it is outside."""
    relative = os.path.relpath(path, root)
    return point if relative == "." or relative.startswith("..") else str(Path(point, relative))
