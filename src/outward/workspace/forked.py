"""A process of ours that outlives, or accompanies, a sandbox."""

from __future__ import annotations

import os
from contextlib import suppress


def close_all_but(*wanted: int) -> None:
    """Closes what was inherited; standard input and output lead nowhere from then on."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(quiet, descriptor)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 (their numbers are all that is wanted)
        if descriptor > 2 and descriptor not in wanted:
            with suppress(OSError):  # the directory's own descriptor is closed by now
                os.close(descriptor)
