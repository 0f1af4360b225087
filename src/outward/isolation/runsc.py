"""gVisor's ``runsc``: which one there is, and its command line."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError, Shortfall
from outward.core.records import NamedTuple
from outward.isolation.operations import Hide
from outward.isolation.programs import installed
from outward.isolation.system import NOTHING, UID

if TYPE_CHECKING:
    from outward.core import Limits
    from outward.isolation.operations import Operation

PLATFORMS: Final = ("systrap", "ptrace")
"""The ways in which runsc takes a program's system calls, best first. The first is missing before 2023. ``kvm`` is left out:
it hangs in many virtual machines, and hands the sandbox the one interface of the host's kernel that gVisor is there to avoid."""

NEEDED: Final = ("unshare",)
"""Programs in ``/usr/bin`` of the view by which the command is started, see :attr:`Runsc.prefix`."""

_THREADS: Final = 128
"""What gVisor's own kernel needs of a limit on processes: threads of the host's kernel."""

PIDS: Final = Shortfall(
    "pids",
    f"counts the host's threads behind gVisor's processes; {_THREADS} more are allowed for gVisor itself",
    "Use the backend bubblewrap for an exact number.",
)

_INSTALL: Final = (
    "Install runsc with the system's package manager (package `runsc`), or see gvisor.dev/docs/user_guide/install."
)


class Runsc(NamedTuple):
    """The installed tools, as absolute paths: runsc, and util-linux's to name the user inside and to come beside runsc."""

    path: str
    unshare: str
    nsenter: str

    def argv(self, platform: str, directory: str, pid_file: str) -> tuple[str, ...]:
        """Runs the bundle in ``directory``, keeps its state there, and writes to ``pid_file`` once the sandbox is built."""
        flags = (
            f"--root={directory}/state",
            f"--platform={platform}",
            "--network=host",  # of the namespace that it is started in: the cage
            "--ignore-cgroups",  # ours hold it
        )
        return (self.path, *flags, "run", f"--bundle={directory}", f"--pid-file={pid_file}", "sandbox")

    def kill_argv(self, pid: int, owner: int, directory: str, number: int) -> tuple[str, ...]:
        """Sends a signal to all processes of the sandbox that the runsc ``pid`` runs.

        Its control socket is in the cage, which belongs to the user namespace behind the descriptor ``owner``; its state is
        below, in runsc's own. One program after the other enters them: nobody has capabilities over both at once.
        """
        cage = (
            self.nsenter,
            f"--user=/proc/self/fd/{owner}",
            "--preserve-credentials",
            f"--net=/proc/{pid}/ns/net",
            "--",
        )
        beside = (self.nsenter, f"--target={pid}", "--user", "--mount", "--preserve-credentials", "--")
        return (*cage, *beside, self.path, f"--root={directory}/state", "kill", "--all", "sandbox", str(number))

    @property
    def prefix(self) -> tuple[str, ...]:
        """What comes before the command. There is one user inside, and it has to be 0 for runsc: a user namespace of gVisor's
        own kernel shows it, and what it owns, as the agent."""
        return (self.unshare, "--user", f"--map-user={UID}", f"--map-group={UID}", "--")


def gofer(parent: int) -> int | None:
    """The child of ``parent`` by which gVisor's kernel comes to files, once it has shut itself in with all that is to be seen:
    what is mounted there is what the command sees. ``parent`` is runsc, or what has taken its children over."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):  # of each of its threads
        with suppress(OSError):  # it has ended
            for child in map(int, children.read_text().split()):
                root = Path(f"/proc/{child}/root")
                named = Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"runsc-gofer\0")
                if named and not root.samefile("/") and root.joinpath(NOTHING[0][1:]).exists():
                    return child
    return None


def parent_of(process: int) -> int | None:
    """Its parent's process id (proc(5), field 4 of stat); nothing where it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return None


def can_cover(operation: Operation) -> bool:
    """Whether it is not about hiding a socket of the host's: runsc cannot mount on one, and lets nobody connect to it
    (``--host-uds``)."""
    try:
        return not (isinstance(operation, Hide) and stat.S_ISSOCK(os.lstat(operation.path).st_mode))
    except OSError:
        return True


def held(limits: Limits) -> Limits:
    """What the host has to allow so that ``limits`` are left for the command. See :data:`PIDS`."""
    return limits if limits.pids is None else limits._replace(pids=limits.pids + _THREADS)


def find() -> Runsc:
    """The runsc of this machine. Raises :class:`HostError` with the way out where there is none.

    Only the system's own directories are searched: what the agent could write to must not confine it.
    """
    path = installed("runsc")
    if path is None:
        raise HostError("gVisor (runsc) is not installed", hint=_INSTALL)
    unshare, nsenter = installed("unshare"), installed("nsenter")
    if unshare is None or nsenter is None:
        raise HostError(
            "unshare and nsenter are not installed", hint="Install util-linux with the system's package manager."
        )
    return Runsc(path, unshare, nsenter)
