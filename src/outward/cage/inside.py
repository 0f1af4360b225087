"""The forked child: enters the namespaces, listens, hands the sockets out, waits, becomes the sandbox's launcher.

Nothing here returns to the caller's code: the process either becomes the command or ends. Errors travel to the parent over
the same socket pair as the descriptors, as one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from outward.cage import kernel

if TYPE_CHECKING:
    from outward.cage.command import Command

PORT: Final = 3128
"""Where the explicit proxy listens inside the cage, on every loopback address."""

BACKLOG: Final = 512
READY: Final = b"ready"
GO: Final = b"go"


def enter(command: Command, control: socket.socket, parent: int) -> NoReturn:
    """Runs in the child. Never returns; never runs the parent's exit handlers."""
    step = "die with its parent"
    try:
        kernel.die_with_parent(parent)
        step = "create a user and a network namespace"
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
        step = "map the user in the new namespace"
        kernel.map_own_ids(uid, gid)
        kernel.die_with_parent(parent)
        step = "bring the loopback interface up"
        kernel.loopback_up()
        step = f"listen on port {PORT} in the cage"
        _hand_out(listeners(), control)
        if control.recv(len(GO)) == GO:
            step = f"start {command.argv[0]}"
            _become(command)
    except OSError as error:
        with suppress(OSError):  # the parent is gone: there is nobody left to tell
            control.send(json.dumps({"step": step, "errno": error.errno or 0}).encode())
    finally:
        os._exit(125)


def listeners() -> list[socket.socket]:
    """The listening sockets of a cage: one per loopback address. IPv6 is left out where the kernel has none.

    Transparent capture and DNS add their own sockets here: whatever this gives is handed out.
    """
    found = [_listen(socket.AF_INET, "127.0.0.1")]
    if os.path.exists("/proc/sys/net/ipv6"):  # noqa: PTH110 (pathlib is not imported in the child)
        with suppress(OSError):  # disabled by sysctl: ::1 does not exist, so nothing can reach it either
            found.append(_listen(socket.AF_INET6, "::1"))
    return found


def _listen(family: socket.AddressFamily, address: str) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, PORT))
    listener.listen(BACKLOG)
    return listener


def _hand_out(sockets: list[socket.socket], control: socket.socket) -> None:
    socket.send_fds(control, [READY], [each.fileno() for each in sockets])
    for each in sockets:
        each.close()  # the cage keeps none: when the gateway is gone, connections are refused


def _become(command: Command) -> NoReturn:
    os.setsid()  # signals of the outer terminal are for the session to forward, never for the launcher
    for number, descriptor in enumerate(command.stdio):
        os.dup2(descriptor, number, inheritable=True)
    # What our caller left open is not for the sandbox: a shell's `9<file` would be readable there.
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 (their numbers are all that is wanted)
        with contextlib.suppress(OSError):  # the directory's own descriptor is closed by now
            os.set_inheritable(descriptor, descriptor < len(command.stdio) or descriptor in command.inherit)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and ignoring is inherited
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(command.argv[0], command.argv, {})  # noqa: S606 (no shell is the point)
