"""What every container is confined with, whichever engine runs it. Each line has its reason."""

from __future__ import annotations

import math
import os
import resource
from typing import TYPE_CHECKING, Final

from outward.isolation.system import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.core import Limits

LABEL: Final = "outward.session"
NAME: Final = "outward"

_PROCESSES: Final = 16384

HARDENED: Final = (
    "--rm",  # nothing of it stays
    "--interactive",  # standard input is the caller's
    "--pull=never",  # an image is what the person has, not what a registry sends
    "--read-only",  # the root; what is writable is mounted
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",  # set-user-id programs give nothing
    "--ipc=private",
    "--no-healthcheck",  # nor does an image run commands of its own beside what it was started for
    "--log-driver=none",  # what it says is for its caller, not for a file of the engine
)


def name(session: str, part: str = "") -> str:
    """What a container is called."""
    return f"{NAME}-{session}{part}"


def confined(session: str, seccomp: str, user: str) -> Iterator[str]:
    """The hardened line. ``seccomp`` is a profile's file, ``user`` who the command is inside."""
    yield from HARDENED
    yield from (f"--label={LABEL}={session}", f"--security-opt=seccomp={seccomp}", f"--user={user}")


def networked(network: str) -> Iterator[str]:
    """A network namespace with nothing in it, to be made a cage."""
    yield from (f"--network={network}", f"--hostname={HOSTNAME}")


def limited(limits: Limits) -> Iterator[str]:
    """The limits."""
    if limits.memory is not None:
        yield from (f"--memory={limits.memory}", f"--memory-swap={limits.memory}")  # the sum: no swap beyond it
    if limits.cpus is not None:
        yield f"--cpus={limits.cpus:g}"
    if limits.pids is not None:
        yield f"--pids-limit={limits.pids}"
    # Always said: engines ask for more open files by default than an unprivileged caller may give.
    for key, number, value in (
        ("nofile", resource.RLIMIT_NOFILE, limits.files),
        ("fsize", resource.RLIMIT_FSIZE, limits.disk),
        ("core", resource.RLIMIT_CORE, 0),
    ):
        most = _at_most(number, value)
        text = "-1" if math.isinf(most) else f"{most:.0f}"
        yield f"--ulimit={key}={text}:{text}"


def processes() -> str:
    """How many processes a user may have, where the engine would otherwise ask for more than a user namespace is given."""
    most = _at_most(resource.RLIMIT_NPROC, 2 * _PROCESSES)
    return f"--ulimit=nproc={most / 2:.0f}:{most / 2:.0f}"


def _at_most(number: int, value: int | None) -> float:
    _, hard = resource.getrlimit(number)
    return min(math.inf if value is None else value, math.inf if hard == resource.RLIM_INFINITY else hard)


def caller() -> tuple[int, int]:
    """Who runs us."""
    return os.getuid(), os.getgid()
