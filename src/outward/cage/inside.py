"""The forked child: enters the namespaces, makes them a cage, waits, becomes the sandbox's launcher.

Nothing here returns to the caller's code: the process either becomes the command or ends.
"""

from __future__ import annotations

import fcntl
import os
import termios
from typing import TYPE_CHECKING, Final, NoReturn

from outward import kernel
from outward.cage.handing import Progress, hand_out, report
from outward.cage.plumbing import plumb
from outward.forked import keep_only

if TYPE_CHECKING:
    import socket

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
