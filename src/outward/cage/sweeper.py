"""Ends what is left in a cage when its owner is gone, however that came about.

The kernel kills a launcher with us, but not what it has started: bubblewrap's inner process asks to die with its parent only
once the sandbox is built. So a process of its own waits until the owner lets go, and kills what is in the namespace then. It is
no relative of the launcher, which may not expect more children than its own.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from outward import kernel
from outward.forked import detach

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKS: Final = 500
_BETWEEN: Final = 0.01
"""Seconds between one look and the next. What has been killed is gone in less, unless a file system keeps it."""


class Sweeper:
    """The owner's end."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def start(self) -> None:
        """Forks: call it while there are no other threads. Raises :class:`OSError` where there may be no more processes."""
        pid = os.fork()
        if pid == 0:
            _start(self._theirs)
        _, status = os.waitpid(pid, 0)
        self._theirs.close()
        if status:
            number = os.waitstatus_to_exitcode(status)
            raise (
                OSError(number, os.strerror(number)) if number > 0 else ChildProcessError(errno.ECHILD, "it was killed")
            )

    def watch(self, process: int) -> None:
        """Says in whose network namespace to sweep. Raises :class:`OSError` where that has ended, or nobody listens."""
        namespace = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            socket.send_fds(self._ours, [b"."], [namespace])
        finally:
            os.close(namespace)

    def close(self) -> None:
        """Lets it sweep. It is not waited for."""
        self._ours.close()
        self._theirs.close()


def _start(owner: socket.socket) -> NoReturn:
    """In a child in between. What sweeps is nobody's child: it ends after its owner, who does not wait for it."""
    status = errno.ECHILD
    try:
        if os.fork() == 0:
            _wait(owner)
        status = 0
    except OSError as error:
        status = error.errno or status
    finally:
        os._exit(status)


def _wait(owner: socket.socket) -> NoReturn:
    """In the child."""
    try:
        detach(owner.fileno())
        _, namespaces, _, _ = socket.recv_fds(owner, 1, 1)
        for namespace in map(os.fstat, namespaces):
            owner.recv(1)
            if not _leads_to("/proc/self/ns/net", namespace):  # whatever went wrong, the host is no cage
                _sweep(namespace)
    finally:
        os._exit(0)


def _sweep(namespace: os.stat_result) -> None:
    for _ in range(_LOOKS):
        found = False
        for process in _processes(namespace):
            found = True
            with suppress(ProcessLookupError, PermissionError):  # somebody else looks in from outside
                signal.pidfd_send_signal(process, signal.SIGKILL)
            os.close(process)
        if not found:
            return
        time.sleep(_BETWEEN)


def _processes(namespace: os.stat_result) -> Iterator[int]:
    """Descriptors (pidfd) of the processes in it."""
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        link = f"/proc/{name}/ns/net"
        if _leads_to(link, namespace):
            with suppress(ProcessLookupError):
                process = kernel.open_process(int(name))
                if _leads_to(link, namespace):  # still: the number may be another's by now
                    yield process
                else:
                    os.close(process)


def _leads_to(link: str, namespace: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(link), namespace)  # noqa: PTH116 (of every process there is)
    except OSError:  # ended, or another user's
        return False
