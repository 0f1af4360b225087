"""What a session in review mode changed, kept aside until it is applied or discarded.

A *layer* is a directory below the state directory, named like its session: ``upper`` takes what is written, ``work`` is the
kernel's, ``masks`` is what does not exist for the agent, and ``session.json`` says whose it is. It is complete before the
sandbox starts and nothing is left to be written when it ends, so that a session that is killed loses nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.core import HostError, OutwardError
from outward.core.records import NamedTuple
from outward.workspace.appeared import APPEARED, appeared
from outward.workspace.masks import mask
from outward.workspace.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outward.workspace.kept import Masked

_RECORD: Final = "session.json"
_ELSEWHERE: Final = "Set OUTWARD_HOME to a directory on a local file system (ext4, xfs, btrfs)."


class Layer(NamedTuple):
    """A session's changes to ``workspace``. ``started`` is when they began, in nanoseconds of the clock that dates files;
    ``masked`` are the paths that were hidden then, and since; ``awaited``, before it starts, as in
    :class:`~outward.workspace.kept.Masked`."""

    directory: Path
    workspace: str
    started: int
    agent: str
    command: tuple[str, ...]
    masked: tuple[str, ...]
    awaited: tuple[str, ...] = ()

    @property
    def session(self) -> str:
        """The session's name, as in the journal."""
        return self.directory.name

    @property
    def upper(self) -> str:
        """The directory of what was written."""
        return str(self.directory / "upper")

    @property
    def overlay(self) -> Overlay:
        """The layers, to be mounted at ``workspace``; see :meth:`lay_out`."""
        return Overlay((self._masks, self.workspace), self.upper, str(self.directory / "work"))

    @property
    def _masks(self) -> str:
        return str(self.directory / "masks")

    @property
    def empty(self) -> bool:
        """Whether nothing at all was written."""
        with os.scandir(self.upper) as entries:
            return next(entries, None) is None

    @property
    def running(self) -> bool:
        """Whether its session goes on, or its changes are being applied."""
        try:
            with self.locked():
                return False
        except OutwardError:
            return True

    def mount(self) -> None:
        """Mounts it over the workspace in a new mount namespace of the calling process. Raises :class:`OSError`."""
        kernel.new_mount_namespace()
        kernel.mount(
            "tmpfs", self._masks, "mode=0700"
        )  # hundreds of directories that a disk would have to make and remove
        self.lay_out().mount(self.workspace)

    def lay_out(self) -> Overlay:
        """The layers, complete, for a backend that mounts them in its own way. Raises :class:`OSError`."""
        if not os.listdir(self._masks):  # noqa: PTH208 (start-up)
            mask(self._masks, self.workspace, self.masked, self.awaited)
        return self.overlay

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps it from others. Raises :class:`OutwardError` where somebody else has it. Ends with the process that holds it."""
        try:
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise OutwardError(f"the session {self.session} is gone: it was applied or discarded") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise OutwardError(
                f"the session {self.session} is still running, or being applied",
                hint="Wait for its end, or end it.",
            ) from None
        finally:
            os.close(descriptor)

    def discard(self) -> None:
        """Removes it for good."""
        (self.directory / _RECORD).unlink(missing_ok=True)  # first: half a layer is none
        remains = self.directory / "work" / "work"
        with suppress(FileNotFoundError):
            remains.chmod(0o700)  # the kernel leaves it closed even to its owner
        _remove(self.directory)


def create(root: Path, session: str, workspace: str, agent: str, command: Sequence[str], masked: Masked) -> Layer:
    """A new layer in the directory ``root``. Raises :class:`HostError` where there can be none."""
    _require_plain(workspace, root)
    directory = root / session
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        directory.mkdir(mode=0o700)
        layer = Layer(
            directory=directory,
            workspace=workspace,
            started=directory.stat().st_ctime_ns,  # the clock that dates files lags behind the one that programs ask
            agent=agent,
            command=tuple(command),
            masked=masked.paths,
            awaited=masked.awaited,
        )
        for name in ("upper", "work", "masks"):
            (directory / name).mkdir(mode=0o700)
        _look_alike(workspace, layer.upper)
        record = {**layer._asdict(), "version": 1}
        del record["directory"], record["awaited"]
        draft = directory / f".{_RECORD}"
        draft.write_text(json.dumps(record))
        draft.replace(directory / _RECORD)
    except OSError as error:
        import shutil  # here, as below: a start does not wait for it

        shutil.rmtree(directory, ignore_errors=True)
        raise HostError(f"cannot keep changes in {root}: {error.strerror}", hint=_ELSEWHERE) from error
    return layer


def find(root: Path) -> list[Layer]:
    """All layers in ``root``, oldest first."""
    found = []
    for record in sorted(root.glob(f"*/{_RECORD}")):
        with suppress(FileNotFoundError):  # discarded meanwhile
            found.append(_read(record))
    return sorted(found, key=lambda layer: layer.started)


def _read(record: Path) -> Layer:
    try:
        fields = json.loads(record.read_text())
        return Layer(
            record.parent,
            fields["workspace"],
            fields["started"],
            fields["agent"],
            tuple(fields["command"]),
            (*fields["masked"], *appeared(record.parent)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"{record} is damaged", hint=f"What was written is in {record.parent / 'upper'}.") from error


def _require_plain(workspace: str, root: Path) -> None:
    """Refuses what the kernel cannot put a layer over, or would show without what lies in it."""
    if str(root).startswith(f"{workspace}/"):
        raise HostError(
            f"the state directory {root.parent} lies in the workspace, so changes to it cannot be kept aside there",
            hint="Set OUTWARD_HOME to a directory elsewhere.",
        )
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if point.startswith(f"{workspace}/"):
            raise HostError(
                f"another file system is mounted at {point}, inside the workspace",
                hint="Review mode needs a workspace on one file system: use --mode write or read, or unmount it.",
            )


def _look_alike(workspace: str, upper: str) -> None:
    status = os.stat(workspace)  # noqa: PTH116 (start-up)
    os.chmod(upper, status.st_mode & 0o777)  # noqa: PTH101
    os.utime(upper, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.setxattr(upper, "user.outward", b"")  # a file system that cannot do this cannot keep what was deleted
    os.removexattr(upper, "user.outward")


def _remove(directory: Path) -> None:
    """Removes a tree that a hostile agent has built: closed directories, or so deep that no path leads to the end.

    ``rm`` is up to that, and starts sooner than Python's own is loaded. Where nothing was written neither is needed.
    """
    with suppress(OSError):
        (directory / APPEARED).unlink(missing_ok=True)
        for name in ("upper", "work/work", "work", "masks", ""):
            (directory / name).rmdir()
        return
    rm = ("/bin/rm", "-rf", str(directory))
    if _succeeds(*rm):
        return
    _succeeds("/bin/chmod", "-R", "u+rwx", str(directory))
    if not _succeeds(*rm):
        raise HostError(f"cannot remove {directory}", hint=f"`{' '.join(rm)}` says why.")


def _succeeds(*argv: str) -> bool:
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    _, status = os.waitpid(os.posix_spawn(argv[0], argv, {}, file_actions=quiet), 0)
    return status == 0
