"""A cage and the command in it: the parent's side."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from outward import kernel
from outward.cage.enclosure import Enclosure
from outward.cage.handing import explain
from outward.cage.inside import GO, run

if TYPE_CHECKING:
    from outward.cage.command import Command
    from outward.cage.sockets import Sockets


class Cage:
    """A command in an enclosure.

    ``open`` forks; the child enters it, waits until :meth:`release` and then becomes the command, with the child's process id.
    Call it from the thread that outlives the cage (the kernel ties the child to that *thread*), before any other thread exists.
    Leaving the context kills whatever is still in there, and so does the end of this process, however it comes.
    """

    def __init__(self, pid: int, control: socket.socket, enclosure: Enclosure) -> None:
        self.pid: Final = pid
        self._control: Final = control
        self._enclosure: Final = enclosure
        self._status: int | None = None

    @classmethod
    def open(cls, command: Command, enclosure: Enclosure | None = None) -> Self:
        """Puts it into ``enclosure``, or into one that it makes; either is closed with it.

        Raises :class:`HostError` with the way out where the machine does not allow it, and :class:`OSError` where there may be
        no more processes or descriptors.
        """
        enclosure = enclosure or Enclosure.open()
        try:
            enclosure.ready()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                ours.close()
                run(command, enclosure, theirs, parent)
            theirs.close()
        except BaseException:
            enclosure.close()
            raise
        return cls(pid, ours, enclosure)

    @property
    def sockets(self) -> Sockets:
        """Those of the enclosure."""
        return self._enclosure.sockets

    def release(self) -> None:
        """Lets the command start. Returns when it has; raises :class:`HostError` where it could not be started."""
        try:
            self._control.send(GO)
        except BrokenPipeError:  # somebody has killed it, for want of memory say
            raise explain(b"") from None
        if message := self._control.recv(4096):  # nothing at all: closed by a successful exec
            raise explain(message)

    @property
    def over(self) -> bool:
        """Whether the command has ended and nothing that it sent waits to be taken."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        return not self.sockets.waiting

    def wait(self) -> int:
        """Waits for the command's end; its wait status (see :func:`os.waitstatus_to_exitcode`)."""
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        return self._status

    def kill(self) -> None:
        """Kills the command, and before it what it has started.

        A launcher's child asks the kernel to die with it only once it has built the sandbox: until then it would stay behind.
        Stopped, the launcher starts no other meanwhile.
        """
        if self._status is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for child in kernel.children(self.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills what is still running, and closes every descriptor."""
        self._control.close()
        self.kill()
        self.wait()
        self._enclosure.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
