"""Takes changes of a layer over into the workspace, one path at a time.

A file is written under another name beside its place and then renamed over it, so that it is the old one or the new one
whenever that is interrupted; what is left to be done is then what a new look finds. Nothing is reached over a symbolic link.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.core.records import NamedTuple
from outward.workspace.changes import Change, Kind
from outward.workspace.tree import Tree, is_directory, is_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from outward.workspace.layer import Layer

_PERMISSIONS: Final = 0o777
_CHUNK: Final = 1 << 22


class Chosen(NamedTuple):
    """What a person wants applied: ``paths`` (none means all), ``suspicious`` changes also where they are not named, and
    ``overwrite`` for those that conflict."""

    paths: tuple[str, ...] = ()
    suspicious: bool = False
    overwrite: bool = False

    def covers(self, change: Change) -> bool:
        """Whether it is asked for at all."""
        return not self.paths or any(change.path == path or change.path.startswith(f"{path}/") for path in self.paths)

    def objection(self, change: Change) -> str:
        """Why it is not applied although it is asked for; empty if it is.

        Naming a directory does not name what is suspicious in it. What was hidden has to be named even to be overwritten.
        """
        named = change.path in self.paths
        if change.obstacle:
            return change.obstacle
        if change.conflict and not (self.overwrite and (named or not change.hidden)):
            return change.conflict
        if change.suspicions and not (self.suspicious or named):
            return change.suspicions[0]
        return ""


class Applied(NamedTuple):
    """What became of a change: nothing to say, or why it was left."""

    change: Change
    left: str


def apply(layer: Layer, changes: Iterable[Change], chosen: Chosen) -> Iterator[Applied]:
    """Applies what is chosen, in an order in which no step leaves the workspace worse than before. Hold the layer's lock."""
    with Tree(layer.upper) as upper, Tree(layer.workspace) as lower:
        work = _Work(upper, lower, f".outward-{layer.session}")
        for change in _ordered(list(filter(chosen.covers, changes))):
            left = chosen.objection(change)
            if not left:
                try:
                    work.take_over(change)
                except OSError as error:
                    left = _reason(error)
            yield Applied(change, left)
        with lower.opened("", os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            kernel.sync_file_system(descriptor)  # the layer may be gone soon


def _ordered(changes: Sequence[Change]) -> list[Change]:
    """git's objects before what names them; what makes room before what needs it; the rest deleted after what is new."""
    replaced = {change.path for change in changes if change.kind is Kind.TYPE and is_directory(change.before)}

    def rank(change: Change) -> tuple[int, int, str]:
        depth = change.path.count("/")
        inside = f"/{change.path}"
        if change.kind is Kind.DELETED:
            makes_room = any(change.path.startswith(f"{path}/") for path in replaced) if replaced else False
            return (0 if makes_room else 5 if "/.git/" in inside else 4, -depth, change.path)
        if "/.git/objects/" in inside:
            return (1, depth, change.path)
        return (3 if "/.git/" in inside else 2, depth, change.path)

    return sorted(changes, key=rank)


_REASONS: Final[dict[int, str]] = {
    errno.ELOOP: "a symbolic link leads to it",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ENOTDIR: "what should be its directory is none",
    errno.EAGAIN: "it was changed just now",
}


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)


class _Work:
    """``draft`` is the name under which files are written, one at a time in any directory."""

    def __init__(self, upper: Tree, lower: Tree, draft: str) -> None:
        self._upper: Final = upper
        self._lower: Final = lower
        self._draft: Final = draft

    def take_over(self, change: Change) -> None:
        """Makes the workspace what the layer is at one path. Raises :class:`OSError`."""
        if change.after is not None:
            self._make_parents(change.path)
        with self._lower.parent(change.path) as (directory, name):
            self._require_unchanged(change, directory, name)
            if change.after is None:
                self._remove(change, directory, name)
            elif is_directory(change.after):
                self._make_directory(change, directory, name)
            else:
                self._replace(change, directory, name)

    def _make_parents(self, path: str) -> None:
        """The directories above that only the layer has: choosing a file chooses them."""
        above = path.split("/")[:-1]
        for count in range(len(above)):
            parent = "/".join(above[: count + 1])
            if self._lower.status(parent) is None:
                status = self._upper.status(parent)
                mode = stat.S_IMODE(status.st_mode) & _PERMISSIONS if status else 0o755
                with self._lower.parent(parent) as (directory, name):
                    self._new_directory(parent, mode, directory, name)

    def _require_unchanged(self, change: Change, directory: int, name: str) -> None:
        now = _status_in(directory, name)
        then = change.before
        if is_directory(now) and is_directory(then):
            return
        if (now is None) != (then is None) or (now and then and _identity(now) != _identity(then)):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _remove(self, change: Change, directory: int, name: str) -> None:
        if is_directory(change.before):
            os.rmdir(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)

    def _make_directory(self, change: Change, directory: int, name: str) -> None:
        if change.after is None:
            return
        if change.kind is Kind.TYPE:
            os.unlink(name, dir_fd=directory)
        if change.kind is not Kind.MODE:
            self._new_directory(change.path, _mode(change), directory, name)
            return
        with self._lower.opened(change.path, os.O_RDONLY | os.O_DIRECTORY) as found:
            os.fchmod(found, _mode(change))

    def _new_directory(self, path: str, mode: int, directory: int, name: str) -> None:
        os.mkdir(name, 0o700, dir_fd=directory)
        with self._lower.opened(path, os.O_RDONLY | os.O_DIRECTORY) as made:
            _give(made, None, directory)
            os.fchmod(made, mode)

    def _replace(self, change: Change, directory: int, name: str) -> None:
        with suppress(FileNotFoundError):  # left by one that was interrupted
            os.unlink(self._draft, dir_fd=directory)
        try:
            if is_link(change.after):
                os.symlink(self._upper.link(change.path), self._draft, dir_fd=directory)
            else:
                self._write(change, directory)
            if is_directory(change.before):
                os.rmdir(name, dir_fd=directory)  # what was in it went before
            os.replace(self._draft, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(self._draft, dir_fd=directory)
            raise

    def _write(self, change: Change, directory: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(self._draft, flags, 0o600, dir_fd=directory)
        try:
            with self._upper.opened(change.path, os.O_RDONLY | os.O_NONBLOCK) as source:
                status = os.fstat(source)
                while os.sendfile(target, source, None, _CHUNK):
                    pass
            _give(target, change.before, directory)
            os.fchmod(target, _mode(change))
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(target)


def _give(file: int, before: os.stat_result | None, directory: int) -> None:
    """Makes it belong to whom the one before did. What is new belongs to whom its ``directory`` does if root applies it: a
    person's workspace stays theirs."""
    if before is None and os.geteuid() == 0:
        before = os.fstat(directory)
    if before is not None:
        with suppress(PermissionError):  # only root may give files away
            os.fchown(file, before.st_uid, before.st_gid)


def _mode(change: Change) -> int:
    """The layer's permissions, with what other bits a directory has outside: none comes out of a sandbox."""
    wanted = change.after.st_mode & _PERMISSIONS if change.after is not None else 0
    if is_directory(change.before) and is_directory(change.after) and change.before is not None:
        wanted |= stat.S_IMODE(change.before.st_mode) & ~_PERMISSIONS
    return wanted


def _status_in(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)
