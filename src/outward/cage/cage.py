"""The parent's side of a cage."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from outward.cage.inside import GO, READY, enter
from outward.core import HostError

if TYPE_CHECKING:
    from outward.cage.command import Command

_MAX_LISTENERS: Final = 16

_CAUSES: Final[tuple[tuple[str, str, str], ...]] = (
    # Kernel settings that forbid user namespaces: file, the value that forbids, the way out.
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        (
            "Ubuntu's AppArmor restricts user namespaces. Allow them: "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 "
            "(lasting: write the setting into /etc/sysctl.d/60-outward.conf)."
        ),
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "User namespaces are off. Allow them: sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "User namespaces are off. Allow them: sudo sysctl -w user.max_user_namespaces=15000",
    ),
    (
        "/proc/sys/user/max_net_namespaces",
        "0",
        "Network namespaces are off. Allow them: sudo sysctl -w user.max_net_namespaces=15000",
    ),
)
_OTHERWISE: Final = (
    "In a container, start it with user namespaces allowed "
    "(docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined)."
)


class Cage:
    """A network namespace whose only reachable endpoints are ``listeners``, which live out here.

    ``open`` forks; the child waits until :meth:`release` and then becomes the command, with the child's process id. Call it
    from the thread that outlives the cage (the kernel ties the child to that *thread*), before any other thread exists.
    Leaving the context kills whatever is still in there.
    """

    def __init__(self, pid: int, control: socket.socket, listeners: tuple[socket.socket, ...]) -> None:
        self.pid: Final = pid
        self.listeners: Final = listeners
        self._control: Final = control
        self._status: int | None = None

    @classmethod
    def open(cls, command: Command) -> Self:
        """Makes the cage. Raises :class:`HostError` with the way out where the machine does not allow it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            enter(command, theirs, parent)
        theirs.close()
        cage = cls(pid, ours, ())
        try:
            message, descriptors, _, _ = socket.recv_fds(ours, 4096, _MAX_LISTENERS)
            listeners = tuple(socket.socket(fileno=descriptor) for descriptor in descriptors)
            if message != READY or not listeners:
                raise _explain(message)
            for listener in listeners:
                listener.setblocking(False)
            return cls(pid, ours, listeners)
        except BaseException:
            cage.close()
            raise

    def release(self) -> None:
        """Lets the command start. Returns when it has; raises :class:`HostError` where it could not be started."""
        self._control.send(GO)
        if message := self._control.recv(4096):  # nothing at all: closed by a successful exec
            raise _explain(message)

    @property
    def over(self) -> bool:
        """Whether the command has ended and none of its connections waits to be accepted."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        poll = select.poll()
        for listener in self.listeners:
            poll.register(listener, select.POLLIN)
        return not poll.poll(0)

    def wait(self) -> int:
        """Waits for the command's end; its wait status (see :func:`os.waitstatus_to_exitcode`)."""
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        return self._status

    def close(self) -> None:
        """Kills what is still running, and closes every descriptor."""
        self._control.close()
        for listener in self.listeners:
            listener.close()
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _explain(message: bytes) -> HostError:
    if not message:
        return HostError("the cage ended before it was ready")
    report = json.loads(message)
    cause = os.strerror(report["errno"]) if report["errno"] else "the kernel refused"
    return HostError(f"this machine does not let us {report['step']}: {cause}", hint=_way_out())


def _way_out() -> str:
    for file, forbids, hint in _CAUSES:
        with suppress(OSError):  # this kernel has no such setting
            if Path(file).read_text().strip() == forbids:
                return hint
    return _OTHERWISE
