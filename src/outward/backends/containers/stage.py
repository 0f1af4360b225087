"""What a docker daemon that maps users is given to mount: copies of mounts in which the caller is the command's user.

With ``userns-remap`` all users of a container are users of the host that own nothing, so what is bound into it as it is would be
nobody's inside. In an *idmapped* mount owners are others than on disk (Documentation/filesystems/idmappings.rst): here the caller
and the command's user change places, and everybody else stays who they are.

A runtime can only bind what has a place where the daemon lives; the kernel refuses it a mount that is a descriptor of ours. So
the copies are on a *stage*, a directory in memory that is mounted in the state directory, and that only root gets to. They are
gone when the stage is struck, which is as soon as the container runs, since it has its own by then. Where it comes to nothing, or
we are killed before, the reaper does it (see :mod:`.reaper`).
"""

from __future__ import annotations

import errno
import os
import re
import socket
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from outward import kernel
from outward.core import HostError
from outward.isolation.system import UID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.backends.containers.mounts import Mount
    from outward.workspace.layer import Layer

_SINCE: Final = (5, 19)
"""The first Linux whose overlays have idmapped layers; other file systems have learned it one by one, before and since."""

_IDS: Final = 2**32 - 1

_CANNOT: Final = frozenset({errno.EINVAL, errno.EPERM})
"""What the kernel says of a file system that knows no idmapped mounts, and of a mount that is one already."""

_INSTEAD: Final = "Use --backend podman or bubblewrap, or a docker daemon without userns-remap."


class Stage:
    """The copies in ``directory``, made with the user namespace behind the descriptor ``users``."""

    def __init__(self, directory: Path, users: int) -> None:
        self._directory: Final = directory
        self._users: Final = users
        self._count = 0

    def mount(self, mount: Mount) -> Mount:
        """A copy of what is mounted, in place of it."""
        if not mount.source:
            return mount
        copy = self.show(mount.source, writable=mount.writable)
        # The copy itself is read-only then. To be told so, too, old versions of runc would drop its other flags, which they may
        # not from inside a user namespace.
        return mount._replace(source=copy, writable=True)

    def layer(self, layer: Layer) -> Layer:
        """The same layer, in copies of its directories."""
        directory = self.show(str(layer.directory), writable=True)
        return layer._replace(directory=Path(directory), workspace=self.show(layer.workspace, writable=False))

    def show(self, source: str, *, writable: bool) -> str:
        """The path of a copy of ``source``. Raises :class:`HostError` where there can be none."""
        place = self._directory / str(self._count)
        self._count += 1
        try:
            with _copy(source, writable=writable) as copy:
                try:
                    kernel.map_users(copy, self._users)
                except OSError as error:
                    if writable or error.errno not in _CANNOT:
                        raise
                    # What is only read there may stay nobody's: that is less to be read, never more.
                if os.path.isdir(copy):  # noqa: PTH112 (a descriptor)
                    place.mkdir()
                else:
                    place.touch()
                with _opened(place) as target:
                    kernel.attach(copy, target)
        except OSError as error:
            raise HostError(
                f"docker's daemon maps users, and {source} cannot be shown to them: {_reason(error)}", hint=_INSTEAD
            ) from error
        return str(place)


@contextmanager
def staged(directory: Path, process: int, caller: tuple[int, int]) -> Iterator[Stage]:
    """A stage at ``directory`` for the ``caller`` and the user namespace of the container with the process ``process``.

    It stays after the context: see :func:`strike`. Forks: enter it while there are no other threads. Raises :class:`HostError`.
    """
    with ExitStack() as stack:
        try:
            texts = [
                swapped(own, outside(UID, Path(f"/proc/{process}/{kind}_map").read_text()))
                for kind, own in zip(("uid", "gid"), caller, strict=True)
            ]
            directory.mkdir(mode=0o700, parents=True)
            kernel.mount("tmpfs", str(directory), "mode=0700,size=1m")
            users = stack.enter_context(_users(*texts))
        except OSError as error:
            raise HostError(
                f"docker's daemon maps users, and nothing can be mounted in {directory} for them: {_reason(error)}",
                hint=_INSTEAD,
            ) from error
        yield Stage(directory, users)


def strike(directory: Path) -> None:
    """Takes a stage away with all that is on it. What was mounted from it stays. Where there is none, nothing is done."""
    with suppress(FileNotFoundError):
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            with _unless(errno.EINVAL):  # somebody was quicker
                kernel.unmount(str(directory))
            directory.rmdir()


def obstacle(paths: Iterable[Path], caller: tuple[int, int]) -> str:
    """Why ``paths`` cannot be shown so; empty where they can. Leaves nothing behind. Forks, as :func:`staged`."""
    if tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < _SINCE:
        return "the kernel is older than Linux {}.{}".format(*_SINCE)
    about = "user namespaces"
    try:
        with _users(*(swapped(own, own + 1) for own in caller)) as users:
            for path in paths:
                about = str(path)
                with _copy(about, writable=True) as copy:
                    kernel.map_users(copy, users)
    except OSError as error:
        return f"{about}: {_reason(error)}"
    return ""


def swapped(one: int, other: int) -> str:
    """The text of a mapping in which two ids change places, and everybody else is who they are (user_namespaces(7))."""
    low, high = sorted((one, other))
    extents = (
        (0, 0, low),
        (low, high, 1),
        (low + 1, low + 1, high - low - 1),
        (high, low, 1),
        (high + 1, high + 1, _IDS - high - 1),
    )
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in dict.fromkeys(extents) if count > 0)


def outside(inside: int, mapping: str) -> int:
    """Who the user ``inside`` is outside, by the text of a ``uid_map``. Raises :class:`HostError` where that is nobody."""
    for line in mapping.splitlines():
        first, to, count = map(int, line.split())
        if first <= inside < first + count:
            return to + inside - first
    raise HostError(
        f"docker's daemon maps users, but none to {inside}",
        hint="Give its user more of them in /etc/subuid and /etc/subgid: 65536 are usual.",
    )


@contextmanager
def _users(uids: str, gids: str) -> Iterator[int]:
    """A descriptor of a user namespace with these mappings, in which nobody stays."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _stand_in(theirs)
    theirs.close()
    try:
        with ours:
            if not ours.recv(1):
                raise OSError(errno.EPERM, "no user namespace can be made")
            for kind, text in (("uid", uids), ("gid", gids)):
                Path(f"/proc/{pid}/{kind}_map").write_text(text)
            users = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.waitpid(pid, 0)
    try:
        yield users
    finally:
        os.close(users)


def _stand_in(control: socket.socket) -> NoReturn:
    """In a child, which is there until its parent has what it wants, or is gone."""
    with suppress(OSError):
        kernel.unshare(kernel.CLONE_NEWUSER)
        control.send(b".")
        control.recv(1)
    os._exit(0)


@contextmanager
def _copy(source: str, *, writable: bool) -> Iterator[int]:
    with _opened(Path(source)) as descriptor:
        copy = kernel.clone_mount(descriptor)
    try:
        kernel.restrict(copy, read_only=not writable)
        yield copy
    finally:
        os.close(copy)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _unless(number: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise


def _reason(error: OSError) -> str:
    return "its file system does not map users" if error.errno == errno.EINVAL else error.strerror or "refused"
