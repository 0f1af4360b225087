"""What a machine can run out of anywhere: the limit that was met, and the way out."""

from __future__ import annotations

import errno
from typing import Final

from outward.core.errors import HostError

PROCESSES: Final = "See the limits of this user (`ulimit -u`) and of this control group (its `pids.max`)."
"""The way out where there may be no more of them."""

_SHORT: Final = {
    errno.EAGAIN: ("no further process may be started", PROCESSES),
    errno.EMFILE: ("no further file may be opened", "Raise the limit (`ulimit -n`); most shells begin with 1024."),
    errno.ENFILE: ("this machine can open no further file", "See /proc/sys/fs/file-nr."),
    errno.ENOMEM: (
        "there is not enough memory",
        "See `free`, and the limits (`ulimit -v`, the control group's `memory.max`).",
    ),
    errno.ENOSPC: ("a file system is full", "See `df`, and `df -i`."),
    errno.EDQUOT: ("this user may store no more", "See `quota`."),
}


def shortage(error: OSError | MemoryError) -> HostError | None:
    """The error for a person, if it is one of these."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    if number not in _SHORT:
        return None
    found, hint = _SHORT[number]
    name = getattr(error, "filename", None)
    return HostError(f"{found} (for {name})" if name else found, hint=hint)
