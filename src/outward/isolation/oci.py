"""The operations of a view, as a bundle of the Open Container Initiative (runtime-spec 1.0: config.md, config-linux.md).

A bundle is a directory: a configuration, and a root file system. What can be made of nothing (files, links, directories) lies
in the root; everything else is a mount, in the order of the operations. Devices and ``/proc`` are the runtime's own.
"""

from __future__ import annotations

import json
import os
import posixpath
from typing import TYPE_CHECKING, Any, Final

from outward.core.records import NamedTuple
from outward.isolation import runsc
from outward.isolation.operations import Absent, Bind, Directory, File, Fresh, Hide, Kernel, Layered, Seal, Symlink
from outward.isolation.system import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from outward.core import Limits
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation

CONFIGURATION: Final = "config.json"
ROOT: Final = "root"
_FRESH: Final = "fresh"
_SETS: Final = ("bounding", "effective", "inheritable", "permitted", "ambient")
_NAMESPACES: Final = ("pid", "ipc", "uts", "mount")


class Made(NamedTuple):
    """Something in the bundle: a directory, or with ``content`` a file, or with ``link`` a symbolic link."""

    path: str
    mode: int = 0o755
    content: bytes | None = None
    link: str | None = None


class Bundle(NamedTuple):
    """``config`` is the configuration; ``made`` is what lies beside it, in order, by path below the bundle's directory."""

    config: dict[str, Any]
    made: tuple[Made, ...]

    def write(self, directory: Path) -> None:
        """Writes it to ``directory``, which is there and empty. Raises :class:`OSError`."""
        for each in self.made:
            path = directory / each.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if each.link is not None:
                path.symlink_to(each.link)
            elif each.content is not None:
                path.write_bytes(each.content)
                path.chmod(each.mode)
            else:
                path.mkdir(parents=True, exist_ok=True)
                path.chmod(each.mode)
        (directory / CONFIGURATION).write_text(json.dumps(self.config))


def bundle(launch: Launch, directory: str, prefix: tuple[str, ...], limits: Limits) -> Bundle:
    """The bundle of ``launch``, to be written to ``directory``. ``prefix`` comes before the command: it is started as user 0,
    without a capability. ``limits`` gives those of each process."""
    view = _View(launch.operations, directory)
    mounts = list(view.mounts())
    process = {
        "terminal": launch.terminal,
        "user": {"uid": 0, "gid": 0},
        "args": [*prefix, *launch.command],
        "env": [f"{name}={value}" for name, value in launch.environment.items()],
        "cwd": launch.directory,
        "noNewPrivileges": True,
        "capabilities": {name: [] for name in _SETS},
        "rlimits": [
            {"type": kind, "soft": value, "hard": value}
            for kind, value in (("RLIMIT_NOFILE", limits.files), ("RLIMIT_FSIZE", limits.disk))
            if value is not None
        ],
    }
    config = {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": ROOT, "readonly": True},
        "hostname": HOSTNAME,
        "mounts": mounts,
        # No network namespace: the one that the runtime is started in is the cage.
        "linux": {"namespaces": [{"type": kind} for kind in _NAMESPACES]},
    }
    return Bundle(config, (Made(ROOT), *view.made))


class _View:
    """Reads operations one after the other. ``made`` is complete once all mounts were taken."""

    def __init__(self, operations: Iterable[Operation], directory: str) -> None:
        self._operations: Final = tuple(operations)
        self._directory: Final = directory
        self._fresh_ones: Final = {each.path: each for each in self._operations if isinstance(each, Fresh)}
        self._kept: Final = self._fresh_with_content()
        self.made: list[Made] = []

    def _fresh_with_content(self) -> set[str]:
        """The empty directories in which something is put later: they have to be ours, the runtime's cannot be filled."""
        put = [each.path for each in self._operations if isinstance(each, (File, Symlink))]
        return {path for path in self._fresh_ones if any(_below(other, path) for other in put)}

    def mounts(self) -> Iterator[dict[str, Any]]:
        for operation in self._operations:
            if isinstance(operation, Bind):
                # The runtime's own /proc is about its own kernel: nothing of the host's belongs there.
                if not _below(operation.target, "/proc") and not operation.missing:
                    yield _bind(operation.source, operation.target, writable=operation.writable)
            elif isinstance(operation, Hide):
                if not _below(operation.path, "/proc") and runsc.can_cover(operation):
                    yield _bind(operation.empty, operation.path, writable=False)
            elif isinstance(operation, Fresh):
                yield self._fresh(operation)
            elif isinstance(operation, Kernel):
                yield _mount("proc" if operation.kind == "proc" else "tmpfs", operation.path, "nosuid")
            elif isinstance(operation, File):
                self.made.append(Made(self._place(operation.path), 0o444, content=operation.content))
            elif isinstance(operation, Symlink):
                self.made.append(Made(self._place(operation.path), link=operation.target))
            elif isinstance(operation, Directory):
                yield from self._below_another(operation)
            elif not isinstance(operation, (Seal, Layered, Absent)):  # the root is read-only; layers are mounted before
                raise TypeError(f"no mount for {operation!r}")

    def _fresh(self, operation: Fresh) -> dict[str, Any]:
        path, mode, size = operation
        if path in self._kept:
            place = self._place(f"{path}/.")
            self.made.append(Made(place, int(mode, 8)))
            return _bind(f"{self._directory}/{place}", path, writable=True)
        options = ["nosuid", "nodev", f"mode={mode}"]
        return _mount("tmpfs", path, *options, *([] if size is None else [f"size={size}"]))

    def _below_another(self, operation: Directory) -> Iterator[dict[str, Any]]:
        """In the runtime's own memory it is a mount, and may hold as much as the one that it lies in."""
        path, mode = operation
        above = max((fresh for fresh in self._fresh_ones if _below(path, fresh)), key=len, default=None)
        if above is None or above in self._kept:
            self.made.append(Made(self._place(path), int(mode, 8)))
        else:
            yield self._fresh(Fresh(path, mode, self._fresh_ones[above].size))

    def _place(self, path: str) -> str:
        """Where in the bundle ``path`` is made."""
        path = posixpath.normpath(path)
        owner = max((fresh for fresh in self._kept if path == fresh or _below(path, fresh)), key=len, default=None)
        return posixpath.normpath(f"{ROOT}/{path}") if owner is None else f"{_FRESH}{path}"


def _below(path: str, directory: str) -> bool:
    return path.startswith(f"{directory}/")


def _mount(kind: str, target: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}


def _bind(source: str, target: str, *, writable: bool) -> dict[str, Any]:
    options = ["rbind", "rw" if writable else "ro", "nosuid", "nodev"]
    return {"destination": target, "type": "bind", "source": os.path.realpath(source), "options": options}
