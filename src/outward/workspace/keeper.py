"""Keeps hidden and read-only, while the agent runs, what is hidden and read-only by its name.

A mount covers a file, not a name: when a program outside replaces the file (editors and git write another one and rename it
over the first), the cover goes with the old one. And a file that comes into being later was never covered. A process of its own
hears of every new name in the directories that the agent sees, enters the sandbox and covers what is there.

It comes after the fact, by a millisecond or many: it keeps a secret from an agent that reads what it finds, not from a program
that waits for nothing else. In a layer and in what the agent only reads, all new names are from outside, and whatever the
tables and the policy hide is hidden. Where the agent writes too, nobody can tell whose a new file is: there it is what is
hidden by a *name*, and not the kinds of files (``*.key``) that builds and tests make.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, Self

from outward import kernel
from outward.core.records import NamedTuple
from outward.forked import detach
from outward.workspace.appeared import Appeared
from outward.workspace.inside import Inside
from outward.workspace.notices import Notices
from outward.workspace.scan import OPAQUE, Scanner

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.workspace.inside import Identity
    from outward.workspace.kept import Kept, Root

_PATIENCE: Final = (2, 3, 3, 3, 3, 5, 5, 10, 10, 20, 50)
"""Milliseconds between one look and the next whether the sandbox can be entered by now; some backends have to ask others. What
came before that is found then."""

_URGENT: Final = -10

_LAST_BREATH: Final = 1000
"""Milliseconds in which what could not be entered is seen to have ended, if that was the reason."""

_AFTERMATH: Final = 60_000
"""Milliseconds in which a sandbox is over whose first process has ended: nothing runs in it, but an engine takes its time."""

_ENDED: Final = "the sandbox was ended, since what appears later could not be hidden: {}\n"

_EXHAUSTED: Final = (
    "not all directories of the workspace were watched for secrets that appear while the command runs: "
    "raise fs.inotify.max_user_watches (sysctl)\n"
)

_OUT_OF_REACH: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG})
"""Of a directory: it is gone, or closed to us as to the agent, or so deep that no path leads there."""

_QUOTA: Final = Path("/proc/sys/fs/inotify/max_user_watches")

_INSTALLED: Final = ("/node_modules", "/site-packages")
"""Ends of directories that installers fill and empty, and that a cover would keep from being removed."""


class Sandbox(Protocol):
    """Something that ends, and may be entered before."""

    @property
    def entrance(self) -> Callable[[], int | None] | None:
        """Gives a process that sees the files as the command does, once there is one; none where it cannot be entered."""

    def fileno(self) -> int:
        """A descriptor of a process that it ends with (a pidfd)."""


class Keeper:
    """Keeps inside of ``with``, or until the end of the sandbox. If it cannot go on, it ends the sandbox.

    ``layer`` is the directory of changes of a session in review mode: what was hidden there later is recorded in it. Forks:
    enter it while there are no threads, from the one that stays until the end.

    ``process`` is a descriptor of the process that does it (a pidfd), if there is one: without it the command must not go on.
    ``trouble`` says, once it is over, what went wrong.
    """

    def __init__(self, kept: Kept, sandbox: Sandbox, layer: Path | None) -> None:
        self._kept: Final = kept
        self._sandbox: Final = sandbox
        self._layer: Final = layer
        self._said = -1
        self._pid = 0
        self.process: int | None = None
        self.trouble = ""

    def __enter__(self) -> Self:
        entrance = self._sandbox.entrance
        if entrance is None:
            return self
        parent = os.getpid()
        self._said, say = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _keep(self._kept, self._sandbox.fileno(), entrance, self._layer, say, parent)
        os.close(say)
        self.process = os.pidfd_open(self._pid)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is None:
            return
        lost = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        # Not waited for: it does nothing any more, and the kernel takes up to 20 ms to let go of its watches. What it had to say
        # was said before the sandbox ended.
        signal.pidfd_send_signal(self.process, signal.SIGKILL)
        os.close(self.process)
        os.set_blocking(self._said, False)
        with open(self._said, "rb", buffering=0) as file:  # noqa: PTH123 (a descriptor)
            self.trouble = (file.read() or b"").decode(errors="replace")
        if lost is not None and lost.si_code != os.CLD_EXITED:
            self.trouble += _ENDED.format("the process that does this was killed")


def _keep(
    kept: Kept, sandbox: int, entrance: Callable[[], int | None], layer: Path | None, say: int, parent: int
) -> NoReturn:
    """In the child."""
    reason = "the process that does this has failed"
    first: int | None = None
    try:
        kernel.die_with_parent(parent)
        detach(sandbox, say)
        waits = chain(_PATIENCE, repeat(_PATIENCE[-1]))
        while not _readable(sandbox, next(waits)):
            if (pid := entrance()) is not None and (first := _opened(pid)) is not None:
                _Keeping(kept, pid, layer, say).keep(sandbox)
                break
        reason = ""
    except OSError as error:
        reason = "" if _is_over(sandbox, first) else os.strerror(error.errno or 0)
    finally:
        if reason:
            os.write(say, _ENDED.format(reason).encode())
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(sandbox, signal.SIGKILL)  # what is not kept does not run
        os._exit(0)


def _opened(pid: int) -> int | None:
    try:
        return kernel.open_process(pid)
    except ProcessLookupError:  # it has ended, and what it was in is ending
        return None


def _is_over(sandbox: int, first: int | None) -> bool:
    """Whether a sandbox ends by itself, as it does once its ``first`` process has: the kernel or the engine ends the rest."""
    if first is None:
        return _readable(sandbox, _LAST_BREATH)
    return _readable(first, _LAST_BREATH) and _readable(sandbox, _AFTERMATH)


class _Place(NamedTuple):
    """A directory: in which root, where in it, and whether all in it is hidden that is not shown."""

    root: int
    path: str
    closed: bool


def _readable(descriptor: int, patience: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(patience))


class _Keeping:
    def __init__(self, kept: Kept, pid: int, layer: Path | None, say: int) -> None:
        self._kept: Final = kept
        self._say: Final = say
        self._scanner: Final = Scanner(kept.hide, kept.show)
        self._notices: Final = Notices()
        # Paths are looked up from here: this process is elsewhere once it has entered the sandbox, which comes last.
        self._outside: Final = [os.open(root.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for root in kept.roots]
        self._roots: Final = frozenset(root.path for root in kept.roots)
        self._layer: Final = None if layer is None else Appeared(layer)
        self._places: Final[dict[int, _Place]] = {}
        self._waiting: dict[str, Root] = {}
        self._exhausted = False
        self._most: Final = (
            int(_QUOTA.read_text()) // 2
        )  # the other half is the person's, however many directories an agent makes
        self._inside: Final = Inside(pid, kept.nothing, [_identity(path) for path in kept.covers])

    def keep(self, sandbox: int) -> None:
        """Until the sandbox ends."""
        poll = select.poll()
        poll.register(self._notices, select.POLLIN)
        poll.register(sandbox, select.POLLIN)
        self._look_again()
        with suppress(PermissionError):  # it has to be quicker than what it covers; root and some others may say so
            os.setpriority(os.PRIO_PROCESS, 0, _URGENT)
        while not any(descriptor == sandbox for descriptor, _ in poll.poll()):
            for notice in self._notices.read():
                if notice.lost:
                    self._look_again()
                elif notice.gone:
                    self._places.pop(notice.watch, None)
                elif (place := self._places.get(notice.watch)) is not None:
                    self._new(place, notice.name, directory=notice.directory)
                self._cover()

    def _look_again(self) -> None:
        """Watches everything, and looks at everything: what came into being unnoticed was not covered."""
        for number, root in enumerate(self._kept.roots):
            self._walk(_Place(number, "", closed=False))
            if not root.layered:
                self._waiting |= {path: root for path in self._known if path.startswith(f"{root.path}/")}
        self._cover()

    @property
    def _known(self) -> frozenset[str]:
        return self._kept.hidden | self._kept.fixed

    def _walk(self, place: _Place) -> None:
        pending = [place]
        while pending:
            place = pending.pop()
            os.fchdir(self._outside[place.root])
            try:
                self._watch(place)
                entries = list(os.scandir(place.path or "."))
            except OSError as error:
                if error.errno not in _OUT_OF_REACH:
                    raise
                continue
            for entry in entries:
                directory = entry.is_dir(follow_symlinks=False)
                plain = not directory and (entry.is_file(follow_symlinks=False) or entry.is_symlink())
                if plain and not place.closed and not self._scanner.concerns(entry.name):
                    continue  # nearly all
                if (below := self._judge(place, entry.name, directory=directory)) is not None:
                    pending.append(below)

    def _watch(self, place: _Place) -> None:
        try:
            if len(self._places) >= self._most:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._places[self._notices.watch(place.path or ".")] = place
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            if not self._exhausted:
                os.write(self._say, _EXHAUSTED.encode())
            self._exhausted = True

    def _new(self, place: _Place, name: str, *, directory: bool) -> None:
        """A name has come into being."""
        below = self._judge(place, name, directory=directory)
        if below is not None:
            self._walk(below)

    def _judge(self, place: _Place, name: str, *, directory: bool) -> _Place | None:
        """Has covered what must be; the directory that is to be looked at instead, if it is one."""
        root = self._kept.roots[place.root]
        path = f"{place.path}/{name}" if place.path else name
        whole = f"{root.path}/{path}"
        if whole in self._roots:
            return None
        hidden = self._scanner.hides_name(root.path, whole, by_name=root.shared, otherwise=place.closed)
        if whole in self._kept.hidden:
            if not root.layered:  # there it does not exist, whatever comes into being below
                self._waiting[whole] = root
            return None
        if whole in self._kept.fixed:
            self._waiting[whole] = root
        elif hidden and directory and self._kept.show:
            return _Place(place.root, path, closed=True)  # something in it may be shown
        elif hidden or (not root.shared and not directory and self._is_special(place, path)):
            self._waiting[whole] = root
            return None
        if not directory or whole.endswith(OPAQUE) or (root.shared and whole.endswith(_INSTALLED)):
            return None
        return _Place(place.root, path, closed=False)

    def _is_special(self, place: _Place, path: str) -> bool:
        """Whether it is a socket, a pipe or a device: a way out, whoever is at the other end."""
        try:
            mode = os.stat(path, dir_fd=self._outside[place.root], follow_symlinks=False).st_mode
        except OSError:  # gone
            return False
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))

    def _cover(self) -> None:
        """Covers what waits for it."""
        for path, root in self._waiting.items():
            if path in self._kept.fixed:
                self._inside.fix(path)
            elif root.layered and self._layer is not None:
                self._layer.hide(self._inside, root.path, path[len(root.path) + 1 :])
            else:
                self._inside.hide(self._meant(path, root))
        self._waiting.clear()

    def _meant(self, path: str, root: Root) -> str:
        """What is at ``path``, or where it leads within its root if it is a link."""
        number = self._kept.roots.index(root)
        try:
            text = os.readlink(path[len(root.path) + 1 :], dir_fd=self._outside[number])
        except OSError:
            return path
        target = os.path.normpath(os.path.join(os.path.dirname(path), text))  # noqa: PTH118, PTH120
        return target if target.startswith(f"{root.path}/") else path


def _identity(path: str) -> Identity:
    status = os.stat(path)  # noqa: PTH116 (start-up)
    return (status.st_dev, status.st_ino)
