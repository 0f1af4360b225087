"""Keeps the memory of a process that holds secrets from its surroundings."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def conceal() -> None:
    """No core dump, and no look into ``/proc/PID`` (memory, environment) or ptrace by others of the same user (prctl(2)).

    Programs that this process starts are not affected: the kernel undoes it at execve(2). A limit on the size of core dumps
    would be inherited, and does not hold where they are piped to a program. Raises :class:`OSError`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
