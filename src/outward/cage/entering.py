"""Making a cage of a network namespace that is there already: a container's, a virtual machine's."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, NoReturn

from outward import kernel
from outward.cage.handing import Progress, hand_out, report, take

if TYPE_CHECKING:
    from pathlib import Path

    from outward.cage.sockets import Sockets


def enter(namespace: Path) -> Sockets:
    """Makes a cage of ``namespace`` (``/proc/PID/ns/net``, or a file that it is mounted on): its sockets, the caller's to close.

    There must be no interface but ``lo`` in it. It may belong to a user namespace below ours, which is entered as well. Once
    its sockets are closed it can be entered anew, and gets the rules of that time. Raises :class:`HostError` for a namespace
    that is this machine's own, leads out, or cannot be entered or set up; then there may be rules in it, but no way out.

    Forks: call it while there are no other threads.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _run(str(namespace), theirs)
    theirs.close()
    try:
        sockets, _ = take(ours)
    finally:
        ours.close()
        os.waitpid(pid, 0)
    return sockets


def _run(namespace: str, control: socket.socket) -> NoReturn:
    """In the child, which ends here."""
    progress = Progress(f"find the network namespace {namespace}")
    try:
        network = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        progress.begin(f"make a cage of {namespace}")
        if os.path.sameopenfile(network, os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)):
            raise OSError(errno.EBUSY, "it is this machine's own network")
        progress.begin(f"enter the network namespace {namespace}")
        user = kernel.owner(network)
        if not os.path.sameopenfile(user, os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)):
            kernel.join(user, kernel.CLONE_NEWUSER)
        kernel.join(network, kernel.CLONE_NEWNET)
        from outward.cage.plumbing import plumb  # here, as where namespaces are made: the parent has no use for it

        hand_out(control, plumb(progress))
    except OSError as error:
        report(control, progress, error)
    finally:
        os._exit(0)
