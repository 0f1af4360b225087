"""Ends what is left in a cage when its owner is gone, however that came about.

The kernel kills a launcher with us, but not what it has started: bubblewrap's inner process asks to die with its parent only
once the sandbox is built. So a process of its own waits until the owner lets go, and kills what is in the namespace then. It is
no relative of the launcher, which may not expect more children than its own.
"""

from __future__ import annotations

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
    """What sweeps, to its owner. ``end`` is the owner's of a socket pair; see :func:`start_sweeper` for the other one."""

    def __init__(self, end: socket.socket) -> None:
        self._end: Final = end

    def watch(self, network: int) -> None:
        """Says where to sweep: a descriptor of a network namespace. Raises :class:`OSError` where nobody listens."""
        socket.send_fds(self._end, [b"."], [network])

    def close(self) -> None:
        """Lets it sweep. It is not waited for."""
        self._end.close()


def start_sweeper(end: socket.socket) -> None:
    """Forks it: from a child that is over soon, so that it is nobody's, and ends after its owner, who does not wait for it.

    Nobody else may keep ``end``, which is closed here. Raises :class:`OSError` where there may be no more processes.
    """
    if os.fork() == 0:
        _wait(end)
    end.close()


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
