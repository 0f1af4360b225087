"""Programs that we start outside of any cage: the clients of engines."""

from __future__ import annotations

import fcntl
import os
import signal
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from outward import kernel
from outward.forked import keep_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    Body = Callable[[], NoReturn]


class Child:
    """A program that ends with us at the latest. A context manager: leaving it kills the program and waits.

    ``stdio`` become its 0, 1 and 2, ``inherit`` stay open under their numbers, and everything else is closed. ``terminal``
    makes its standard input its controlling terminal. Forks: call it from the thread that stays until the end.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        stdio: tuple[int, int, int],
        *,
        inherit: Sequence[int] = (),
        terminal: bool = False,
    ) -> None:
        parent = os.getpid()
        self.pid: Final = os.fork()
        if self.pid == 0:
            _become(argv, environment, stdio, inherit, terminal=terminal, parent=parent)
        self.process: Final = os.pidfd_open(self.pid)
        self._status: int | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return (
            self._status is not None or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        )

    def wait(self) -> int:
        """Waits for its end: the exit status as a shell would give it."""
        if self._status is None:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self._status = code if code >= 0 else 128 - code
        return self._status

    def kill(self) -> None:
        """Ends it at once."""
        if self._status is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self.wait()
        os.close(self.process)


def _become(
    argv: Sequence[str],
    environment: Mapping[str, str],
    stdio: tuple[int, int, int],
    inherit: Sequence[int],
    *,
    terminal: bool,
    parent: int,
) -> NoReturn:
    try:
        kernel.die_with_parent(parent)
        os.setsid()
        keep_only(stdio, inherit)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.execve(argv[0], [*argv], dict(environment))  # noqa: S606 (no shell is the point)
    finally:
        os._exit(125)
