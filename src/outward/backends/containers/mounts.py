"""The operations of a sandbox, read as a container's mounts.

Nothing here touches the disk: files and layers are given by functions of the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.isolation.operations import Bind, Directory, File, Fresh, Hide, Symlink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outward.isolation.operations import Operation

_EXECUTABLE: Final = ("/tmp", "/var/tmp")  # noqa: S108 (the sandbox's own)
"""In memory, and compilers, test runners and package managers start there what they have built. Nothing else in memory may
be executed."""

_DIRECTORIES: Final = ("dev", "etc", "proc", "sys", "tmp")
"""What runtimes expect in a root directory, besides what is mounted."""


class Mount(NamedTuple):
    """``source`` of the host at ``target``; a directory in memory where there is no source."""

    target: str
    source: str = ""
    writable: bool = False
    size: int | None = None

    def arguments(self, *, recursive: bool, flagged: bool) -> tuple[str, str]:
        """For docker, and for podman, which can be told flags (``flagged``). ``recursive`` shows what is mounted below the source
        as well."""
        if not self.source:
            execute = "exec" if self.target in _EXECUTABLE else "noexec"
            size = f",size={self.size}" if self.size is not None else ""
            return ("--tmpfs", f"{self.target}:rw,nosuid,nodev,{execute},mode=1777{size}")
        fields = ["type=bind", f"source={self.source}", f"target={self.target}"]
        fields += [] if self.writable else ["readonly"]
        if flagged and not self.writable:
            # Without, an old runc drops these of the source's mount, which it may not where that was mounted from outside of
            # the container's user namespace: a layer is, and many a home.
            fields += ["nosuid", "nodev"]
        fields += [] if recursive else ["bind-nonrecursive=true"]
        return ("--mount", _fields(fields))


def volume(target: str, options: str) -> tuple[str, str]:
    """For docker: layers that its daemon mounts at ``target``, with the ``options`` of an overlay."""
    driven = ("volume-driver=local", "volume-opt=type=overlay", "volume-opt=device=overlay", f"volume-opt=o={options}")
    return ("--mount", _fields(("type=volume", f"target={target}", *driven)))


def mounts(operations: Iterable[Operation], hold: Callable[[bytes], str]) -> list[Mount]:
    """The mounts that ``operations`` stand for, those above before those below. ``hold`` gives a file with some content."""
    found: dict[str, Mount] = {}
    for operation in operations:
        if (mount := _mount(operation, hold)) is not None:
            found[mount.target] = mount
    return sorted(found.values(), key=lambda mount: (mount.target.count("/"), mount.target))


def _mount(operation: Operation, hold: Callable[[bytes], str]) -> Mount | None:
    """None for what is not mounted: links are the tree's, layers their caller's, and the engine makes /proc and /dev."""
    if isinstance(operation, Bind):
        return Mount(operation.target, operation.source, operation.writable)
    if isinstance(operation, Hide):
        return Mount(operation.path, operation.empty)
    if isinstance(operation, File):
        return Mount(operation.path, hold(operation.content))
    if isinstance(operation, Fresh):
        return Mount(operation.path, size=operation.size)
    return Mount(operation.path) if isinstance(operation, Directory) else None


class Entry(NamedTuple):
    """What the tree holds at ``path``: a link if there is a ``text``, else an empty file or directory to mount at. Runtimes give
    a directory in memory the ``mode`` of what lies below it."""

    path: str
    directory: bool = True
    text: str = ""
    mode: int = 0o755


def tree(
    operations: Iterable[Operation], found: Iterable[Mount], is_directory: Callable[[str], bool]
) -> tuple[Entry, ...]:
    """What an otherwise empty root directory needs, parents first. What lies below a mount is not its business."""
    entries = {f"/{name}": Entry(f"/{name}") for name in _DIRECTORIES}
    points = [mount.target for mount in found]
    for mount in found:
        if not _covered(mount.target, points):
            entries |= {parent: Entry(parent) for parent in _parents(mount.target)}
            if not mount.source:
                entries[mount.target] = Entry(mount.target, mode=0o1777)
            else:
                entries[mount.target] = Entry(mount.target, is_directory(mount.source))
    for operation in operations:
        if isinstance(operation, Symlink) and not _covered(operation.path, points):
            entries |= {parent: Entry(parent) for parent in _parents(operation.path)}
            entries[operation.path] = Entry(operation.path, directory=False, text=operation.target)
    return tuple(sorted(entries.values(), key=lambda entry: (entry.path.count("/"), entry.path)))


def _covered(path: str, points: list[str]) -> bool:
    return any(path != point and path.startswith(f"{point}/") for point in points)


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")[1:-1]
    return ("/" + "/".join(parts[: length + 1]) for length in range(len(parts)))


def _fields(texts: Iterable[str]) -> str:
    """Comma-separated values (RFC 4180), which ``--mount`` reads."""
    return ",".join(
        '"' + text.replace('"', '""') + '"' if any(each in text for each in ',"\n') else text for text in texts
    )
