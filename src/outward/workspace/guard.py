"""Keeps the agent from making files that take effect outside, where there were none.

*Stand-ins* are for the places that are known before the start: something empty is put there, and what is mounted over it
inside cannot be written, renamed or removed. For all other places (in any directory, and in those that the agent makes) there
is a look afterwards: what has come into being is *set aside*, under a name that means nothing to anybody.

Both are taken care of as soon as the session is over; should it be killed, by a process of its own.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, Self

from outward import kernel
from outward.core import HostError
from outward.core.records import NamedTuple
from outward.forked import detach
from outward.workspace.aside import new_fixed, set_aside
from outward.workspace.patterns import Globs
from outward.workspace.tree import Tree, is_directory, is_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DONE: Final = b"done"
"""What the process is told when nothing is left to do."""

_LAST_BREATH: Final = 5000
"""Milliseconds that what is being killed may take."""

_LONGEST: Final = 64
"""Octets that are more than any stand-in has."""

_NOBODY_CAN: Final = frozenset(
    # What says that nothing can be made at a place: by the agent no more than by us, or not before its directory is there.
    {errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS}
)


class Ending(Protocol):
    """Something that ends: its descriptor becomes readable then."""

    def fileno(self) -> int:
        """The descriptor."""


class StandIn(NamedTuple):
    """Something at ``path`` below ``root``, unless there is something: an empty directory, or a file with ``content``."""

    root: str
    path: str
    content: bytes | None

    @property
    def whole(self) -> str:
        """The absolute path."""
        return f"{self.root}/{self.path}"


class Guarded(NamedTuple):
    """What is guarded: the writable ``roots``, what is ``fixed`` in them already
    (:func:`~outward.workspace.aside.identified`), and what the policy ``allowed`` (globs)."""

    roots: tuple[str, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    fixed: frozenset[str] = frozenset()
    allowed: tuple[str, ...] = ()


class Guard:
    """Guards inside of ``with``, or until the death of this process. Forks: enter it while there are no threads.

    ``directory`` is ours; what stands in is recorded there. Of several sessions in one workspace the last takes it away.
    ``aside`` is what was set aside, once it is over: paths, and under which name.
    """

    def __init__(self, guarded: Guarded, directory: Path) -> None:
        self._guarded: Final = guarded
        self._directory: Final = directory
        self._record = -1
        self._orders = -1
        self._end = -1
        self._pid = 0
        self._watched: list[int] = []
        self.aside: dict[str, str] = {}

    def __enter__(self) -> Self:
        if not self._guarded.roots:
            return self
        pipes = (*os.pipe(), *os.pipe())  # before anything stands in: then there are descriptors to take it away
        try:
            self._begin(*pipes)
        except (OSError, HostError):
            for descriptor in pipes:
                os.close(descriptor)
            if self._record >= 0:
                self._take_away()
            raise
        for descriptor in (pipes[0], pipes[3]):
            os.close(descriptor)
        return self

    def _begin(self, ours: int, orders: int, end: int, theirs: int) -> None:
        try:
            self._record = _open_record(self._directory, self._guarded.roots[0])
            self._make()
        except OSError as error:
            raise HostError(f"cannot guard {self._guarded.roots[0]}: {error.strerror}") from error
        self._orders, self._end = orders, end
        self._pid = os.fork()
        if self._pid == 0:
            self._keep(ours, theirs)

    def __exit__(self, *exception: object) -> None:
        if not self._pid:
            return
        try:
            # Here rather than there: a child that does something for the first time copies all that it touches.
            self.aside = self._put_right(self._watched)
            with suppress(BrokenPipeError):  # it was killed, and is not needed
                os.write(self._orders, _DONE)
        finally:
            os.close(self._orders)
            os.read(self._end, 1)  # nothing is written there: it is gone
            os.close(self._end)
            os.close(self._record)

    def watch(self, sandbox: Ending) -> None:
        """Says with which process the sandbox ends, if its descriptor is one of a process.

        Raises :class:`HostError` where there is nobody to tell.
        """
        if not self._pid:
            return
        if (process := kernel.identifier(sandbox.fileno())) is not None:
            self._watched.append(process)
            try:
                os.write(self._orders, b"%d\n" % process)
            except BrokenPipeError:
                raise HostError("what guards the workspace has been killed") from None

    def _keep(self, orders: int, end: int) -> NoReturn:
        """In the child: waits for the end, and puts things right where nobody else has."""
        try:
            detach(orders, end, self._record)
            told = b""
            while chunk := os.read(orders, 64):
                told += chunk
            *watched, last = told.split(b"\n")
            if last != _DONE:
                self._put_right(map(int, watched))
        finally:
            os._exit(0)

    def _put_right(self, watched: Iterable[int]) -> dict[str, str]:
        """Once the processes ``watched`` are gone: what was set aside."""
        for pid in watched:
            _wait(pid)
        self._take_away()
        return self._set_aside()

    def _set_aside(self) -> dict[str, str]:
        allowed = Globs(self._guarded.allowed)
        aside: dict[str, str] = {}
        for root in self._guarded.roots:
            for path in new_fixed(root, self._guarded.fixed, allowed):
                with suppress(OSError):  # gone meanwhile, or not ours to rename
                    aside[f"{root}/{path}"] = set_aside(root, path)
        return aside

    def _make(self) -> None:
        for stand_in in self._guarded.stand_ins:
            # First the record, then the thing: killed in between, there is nothing to take away.
            line = [stand_in.root, stand_in.path, None if stand_in.content is None else stand_in.content.decode()]
            if not os.path.lexists(stand_in.whole):
                os.write(self._record, json.dumps(line).encode() + b"\n")
                _make(stand_in)

    def _take_away(self) -> None:
        """Takes away what stands in, unless other sessions need it: then the last of them does."""
        try:
            fcntl.flock(self._record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        os.lseek(self._record, 0, os.SEEK_SET)
        with open(self._record, "rb", closefd=False) as file:
            for root, path, content in map(json.loads, reversed(file.read().splitlines())):
                _remove(StandIn(root, path, None if content is None else content.encode()))
        os.ftruncate(self._record, 0)


def _open_record(directory: Path, root: str) -> int:
    directory.mkdir(mode=0o700, exist_ok=True)
    status = os.stat(root)  # noqa: PTH116 (start-up)
    record = os.open(
        directory / f"{status.st_dev:x}-{status.st_ino:x}",
        os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
        0o600,
    )
    fcntl.flock(record, fcntl.LOCK_SH)
    return record


def _make(stand_in: StandIn) -> None:
    try:
        with Tree(stand_in.root) as tree, tree.parent(stand_in.path) as (directory, name):
            if stand_in.content is None:
                os.mkdir(name, 0o755, dir_fd=directory)
                return
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(name, flags, 0o644, dir_fd=directory)
            try:
                os.write(file, stand_in.content)
            finally:
                os.close(file)
    except OSError as error:
        if error.errno not in _NOBODY_CAN:
            raise


def _remove(stand_in: StandIn) -> None:
    """Removes it if it still is what was made. What a person has put there stays."""
    with suppress(OSError), Tree(stand_in.root) as tree:
        status = tree.status(stand_in.path)
        with tree.parent(stand_in.path) as (directory, name):
            if stand_in.content is None and is_directory(status):
                os.rmdir(name, dir_fd=directory)
            elif is_file(status) and tree.read(stand_in.path, _LONGEST) == stand_in.content:
                os.unlink(name, dir_fd=directory)


def _wait(pid: int) -> None:
    """Waits until a process is gone."""
    try:
        process = kernel.open_process(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll(_LAST_BREATH)
