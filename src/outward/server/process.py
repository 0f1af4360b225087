"""A child of the supervisor: forked where nothing but its one thread is running, and gone when it is gone."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from outward.kernel import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What the supervisor takes as orders. A terminal or a service manager sends them to its children, too."""

_UNFORESEEN: Final = 70


class Process:
    """A running child."""

    def __init__(self, main: Callable[[], int], *, release: Callable[[], None]) -> None:
        """``main`` runs in the child and gives its exit status; before it, ``release`` closes what is the supervisor's alone.

        Raises :class:`OSError`.
        """
        parent = os.getpid()
        # Until the child has handlers of its own: with the supervisor's it would tell the supervisor of its own signals.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.pid: Final = os.fork()
            if self.pid == 0:
                _run(main, parent, release)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            self.handle: Final = os.pidfd_open(self.pid)
        except OSError:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise

    def fileno(self) -> int:
        """For selectors: readable once the process has ended."""
        return self.handle

    def kill(self) -> None:
        """Ends it at once."""
        signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def reap(self) -> int:
        """Waits for the end: the exit status, or minus the signal that ended it."""
        _, status = os.waitpid(self.pid, 0)
        self.close()
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Lets go of it, however it goes on."""
        os.close(self.handle)


def _run(main: Callable[[], int], parent: int, release: Callable[[], None]) -> NoReturn:
    """Never returns, never runs the supervisor's exit handlers."""
    status = _UNFORESEEN
    try:
        die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            # Not ignored: the programs that fetch secrets would inherit that.
            signal.signal(number, lambda *_: None)
        release()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = main()
    finally:
        if (error := sys.exception()) is not None:
            sys.excepthook(type(error), error, error.__traceback__)
        os._exit(status)
