"""Forked children: one makes namespaces a cage, another enters it, waits, and becomes the sandbox's launcher.

Nothing here returns to the caller's code: the process either becomes the command or ends.
"""

from __future__ import annotations

import fcntl
import os
import termios
from typing import TYPE_CHECKING, Final, NoReturn

from outward import kernel
from outward.cage.handing import Progress, hand_out, report
from outward.cage.sweeper import start_sweeper
from outward.core.shortage import PROCESSES
from outward.forked import keep_only

if TYPE_CHECKING:
    import socket

    from outward.cage.command import Command
    from outward.cage.enclosure import Enclosure

GO: Final = b"go"


def make(control: socket.socket, watcher: socket.socket, parent: int) -> NoReturn:
    """Makes a user and a network namespace, and hands out its sockets and both of them; ``watcher`` is for what sweeps there."""
    progress = Progress("die with its parent")
    try:
        kernel.die_with_parent(parent)
        progress.begin("start another process", PROCESSES)
        start_sweeper(watcher)
        progress.begin("create a user and a network namespace")
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
        progress.begin("map the user in the new namespace")
        kernel.map_own_ids(uid, gid)
        kernel.die_with_parent(parent)
        from outward.cage.plumbing import plumb  # here: who waits for it has other things to load meanwhile

        sockets = plumb(progress)
        own = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "net")]
        hand_out(control, sockets, own)
    except OSError as error:
        report(control, progress, error)
    finally:
        os._exit(0)


def run(command: Command, enclosure: Enclosure, control: socket.socket, parent: int) -> NoReturn:
    """Enters the enclosure, and becomes the command once it is told to."""
    progress = Progress("die with its parent")
    try:
        kernel.die_with_parent(parent)
        progress.begin("enter the namespaces of the cage")
        enclosure.enter()
        kernel.die_with_parent(parent)
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
