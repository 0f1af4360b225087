"""What concerns the process as a whole: its exit statuses, its standard streams, and its collector of garbage."""

from __future__ import annotations

import gc
import os
import select
import sys
from contextlib import suppress
from typing import Final, NoReturn

EXIT_USAGE: Final = 2
EXIT_SETUP: Final = 125
EXIT_INTERRUPTED: Final = 130


def hold_standard_streams() -> None:
    """Opens ``/dev/null`` for each of the three that the caller closed.

    What is opened next would take the free number: the journal or a pipe of the sandbox would be an agent's standard
    output, and our messages would be written into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def collect_later() -> None:
    """Until :func:`collect_from_here`: loading modules makes many objects and no garbage."""
    gc.disable()


def collect_from_here() -> None:
    """What is loaded by now lives as long as the process: the collector need not look at it again."""
    gc.freeze()
    gc.enable()


def is_read() -> bool:
    """Whether our output and our messages still have a reader each."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return not any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def leave(status: int) -> NoReturn:
    """Ends the process at once. For where everything is closed: to take the modules apart costs more than to run ``true``."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):  # nobody reads any more
            stream.flush()
    os._exit(status)
