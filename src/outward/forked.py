"""What a child that was forked does first with what it inherited: one that becomes a program, and one that stays ours."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def detach(*wanted: int) -> None:
    """Readies one that stays ours: in a session of its own, where no signal asks it to end, with the descriptors ``wanted``."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    close_all_but(*wanted)


def close_all_but(*wanted: int) -> None:
    """Closes what was inherited; standard input, output and error lead nowhere from then on."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(quiet, descriptor)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 (their numbers are all that is wanted)
        if descriptor > 2 and descriptor not in wanted:
            with contextlib.suppress(OSError):  # the directory's own descriptor is closed by now
                os.close(descriptor)
