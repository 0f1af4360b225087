"""The forked child: enters the namespaces, makes them a cage, waits, becomes the sandbox's launcher.

Nothing here returns to the caller's code: the process either becomes the command or ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import termios
from typing import TYPE_CHECKING, Final, NoReturn

from outward import kernel
from outward.cage.handing import Progress, hand_out, report
from outward.cage.plumbing import plumb

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from outward.cage.command import Command

GO: Final = b"go"


def run(command: Command, control: socket.socket, parent: int) -> NoReturn:
    """Runs in the child. Never returns; never runs the parent's exit handlers."""
    progress = Progress("die with its parent")
    try:
        kernel.die_with_parent(parent)
        progress.begin("create a user and a network namespace")
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
        progress.begin("map the user in the new namespace")
        kernel.map_own_ids(uid, gid)
        kernel.die_with_parent(parent)
        hand_out(control, plumb(progress))
        if control.recv(len(GO)) == GO:
            if command.prepare is not None:
                progress.begin("prepare the file system of the sandbox")
                command.prepare()
            progress.begin(f"start {command.argv[0]}")
            _become(command)
    except OSError as error:
        report(control, progress, error)
    finally:
        os._exit(125)


def _become(command: Command) -> NoReturn:
    os.setsid()  # signals of the outer terminal are for the session to forward, never for the launcher
    keep_only(command.stdio, command.inherit)
    if command.terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execve(command.argv[0], command.argv, {})  # noqa: S606 (no shell is the point)


def keep_only(stdio: tuple[int, int, int], inherit: Sequence[int]) -> None:
    """Readies a forked child for a program: ``stdio`` become its 0, 1 and 2, ``inherit`` stay open, nothing else does, and
    signals mean what they mean by default."""
    for number, descriptor in enumerate(stdio):
        os.dup2(descriptor, number, inheritable=True)
    # What our caller left open is not for the sandbox: a shell's `9<file` would be readable there.
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 (their numbers are all that is wanted)
        with contextlib.suppress(OSError):  # the directory's own descriptor is closed by now
            os.set_inheritable(descriptor, descriptor < len(stdio) or descriptor in inherit)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and ignoring is inherited
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
