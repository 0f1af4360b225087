"""How a child that is inside tells its parent what has become of it: the sockets, and the namespaces where it has made them, or
what failed.

One message over a socket pair; the descriptors travel with it (unix(7), SCM_RIGHTS).
"""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.cage.sockets import Sockets
from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_MESSAGE: Final = 4096
_MAX_DESCRIPTORS: Final = 64

_FORBIDDEN: Final = frozenset({errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS, errno.EINVAL, errno.ENOSYS})
"""What the kernel says when there may be no namespaces, or no more of them."""

_CAUSES: Final[tuple[tuple[str, str, str], ...]] = (
    # Kernel settings that forbid namespaces: file, the value that forbids, the way out.
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


class Progress:
    """What the child is about to do, completing "this machine does not let us …", and the way out if it fails, where that is
    not about namespaces.
    """

    def __init__(self, step: str) -> None:
        self.step = step
        self.hint = ""

    def begin(self, step: str, hint: str = "") -> None:
        """The next step."""
        self.step, self.hint = step, hint


def hand_out(control: socket.socket, sockets: Sockets, namespaces: Sequence[int] = ()) -> None:
    """Gives them to the parent. The child keeps none: when the parent has none either, connections are refused."""
    message = json.dumps({"sockets": sockets.kinds}).encode()
    socket.send_fds(control, [message], [*(each.fileno() for each in sockets.each()), *namespaces])
    sockets.close()


def report(control: socket.socket, progress: Progress, error: OSError) -> None:
    """Tells the parent what failed."""
    cause = error.strerror or "the kernel refused"
    failed = {"step": progress.step, "errno": error.errno or 0, "cause": cause, "hint": progress.hint}
    with suppress(OSError):  # the parent is gone: there is nobody left to tell
        control.send(json.dumps(failed).encode())


def take(control: socket.socket) -> tuple[Sockets, tuple[int, ...]]:
    """What the child hands out. Raises :class:`HostError` with the way out where it failed, :class:`OSError` where we may not
    have so many descriptors."""
    message, descriptors, flags, _ = socket.recv_fds(control, _MAX_MESSAGE, _MAX_DESCRIPTORS)
    if flags & socket.MSG_CTRUNC:
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    answer = json.loads(message) if message else {}
    if "sockets" not in answer:
        raise explain(message)
    kinds = answer["sockets"]
    sockets = Sockets.from_descriptors(kinds, descriptors[: len(kinds)])
    for sock in sockets.each():
        sock.setblocking(False)
    namespaces = tuple(descriptors[len(kinds) :])
    for namespace in namespaces:
        os.set_inheritable(namespace, False)
    return sockets, namespaces


def explain(message: bytes) -> HostError:
    """The error in a message of :func:`report`, or in none at all."""
    if not message:
        return HostError("the cage ended before it was ready")
    failed = json.loads(message)
    hint = failed["hint"] or (_way_out() if failed["errno"] in _FORBIDDEN else "")
    return HostError(f"this machine does not let us {failed['step']}: {failed['cause']}", hint=hint)


def obstacles() -> Iterator[tuple[str, str]]:
    """The kernel's settings that forbid namespaces here, and the way out of each. (Some do not bind root.)"""
    for file, forbids, hint in _CAUSES:
        with suppress(OSError):  # this kernel has no such setting
            if Path(file).read_text().strip() == forbids:
                yield file, hint


def _way_out() -> str:
    return next((hint for _, hint in obstacles()), _OTHERWISE)
