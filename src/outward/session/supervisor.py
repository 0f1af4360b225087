"""Watches over one running command: its end, its time, and the signals that are meant for it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from outward.session.report import Report
from outward.session.signals import FORWARDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.cage import Cage

TIMED_OUT: Final = 124
GRACE: Final = 10.0
"""Seconds between the signal that asks the command to end and the one that does not ask."""


class Supervisor:
    """Supervises the command in ``cage``; ``status`` is where bubblewrap reports. A context manager in a running loop."""

    def __init__(self, cage: Cage, status: int, *, timeout: float | None, resize: Callable[[], None] | None) -> None:
        self._cage: Final = cage
        self._report: Final = Report(status)
        self._timeout: Final = timeout
        self._resize: Final = resize
        self._loop: Final = asyncio.get_running_loop()
        self._ended: Final = asyncio.Event()
        self._timers: Final[list[asyncio.TimerHandle]] = []
        self._result: int | None = None
        self._process = -1

    def __enter__(self) -> Self:
        self._process = os.pidfd_open(self._cage.pid)
        self._loop.add_reader(self._process, self._on_end)
        self._loop.add_reader(self._report, self._on_report)
        for number in FORWARDED:
            self._loop.add_signal_handler(number, self._forward, number)
        if self._resize is not None:
            self._loop.add_signal_handler(signal.SIGWINCH, self._resize)
        if self._timeout is not None:
            self._timers.append(self._loop.call_later(self._timeout, self._time_out))
        return self

    def __exit__(self, *exception: object) -> None:
        for timer in self._timers:
            timer.cancel()
        for number in (*FORWARDED, signal.SIGWINCH):
            self._loop.remove_signal_handler(number)
        self._loop.remove_reader(self._process)
        self._loop.remove_reader(self._report)
        os.close(self._process)

    async def wait(self) -> int | None:
        """Waits for the end; the exit status as a shell would give it, ``None`` when the sandbox could not be built."""
        await self._ended.wait()
        self._report.read()
        self._cage.wait()
        if self._result is not None:
            return self._result
        return self._report.exit_status

    def _on_end(self) -> None:
        self._loop.remove_reader(self._process)
        self._ended.set()

    def _on_report(self) -> None:
        if not self._report.read():
            self._loop.remove_reader(self._report)

    def _forward(self, number: signal.Signals) -> None:
        self._send(number)
        if FORWARDED[number]:
            self._timers.append(self._loop.call_later(GRACE, self._kill, 128 + signal.SIGKILL))

    def _time_out(self) -> None:
        self._result = TIMED_OUT
        self._send(signal.SIGTERM)
        self._timers.append(self._loop.call_later(GRACE, self._kill, TIMED_OUT))

    def _send(self, number: signal.Signals) -> None:
        """Sends to the command's process group; the launcher and the sandbox's init are in others."""
        command = self._command()
        if command is None:  # still being set up: there is nothing to be asked
            self._kill(128 + number)
            return
        with suppress(ProcessLookupError):
            os.killpg(command, number)

    def _kill(self, result: int) -> None:
        """Ends everything: the kernel kills all of a process namespace with its init, and that with bubblewrap."""
        if self._result is None:
            self._result = result
        with suppress(ProcessLookupError):
            os.kill(self._cage.pid, signal.SIGKILL)

    def _command(self) -> int | None:
        """The command's process id: the first child of the sandbox's init, once it leads a session of its own."""
        init = self._report.init
        try:
            children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        except OSError:
            return None
        return next((pid for pid in map(int, children[:1]) if _leads_session(pid)), None)


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False
