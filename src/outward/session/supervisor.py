"""Watches over one running command: its end, its time, and the signals that are meant for it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final, Self

from outward.session.signals import FORWARDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.backends import Sandbox

TIMED_OUT: Final = 124
GRACE: Final = 10.0
"""Seconds between the signal that asks the command to end and the one that does not ask."""


class Supervisor:
    """Supervises the command in ``sandbox``. A context manager in a running loop.

    ``needed`` is a descriptor of a process (a pidfd) without which the command does not go on, if there is one.
    """

    def __init__(
        self, sandbox: Sandbox, *, timeout: float | None, resize: Callable[[], None] | None, needed: int | None = None
    ) -> None:
        self._sandbox: Final = sandbox
        self._needed: Final = needed
        self._timeout: Final = timeout
        self._resize: Final = resize
        self._loop: Final = asyncio.get_running_loop()
        self._ended: Final = asyncio.Event()
        self._timers: Final[list[asyncio.TimerHandle]] = []
        self._result: int | None = None

    def __enter__(self) -> Self:
        self._loop.add_reader(self._sandbox.fileno(), self._on_end)
        if self._needed is not None:
            self._loop.add_reader(self._needed, self._lose, self._needed)
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
        self._loop.remove_reader(self._sandbox.fileno())
        if self._needed is not None:
            self._loop.remove_reader(self._needed)

    async def wait(self) -> int | None:
        """Waits for the end; the exit status as a shell would give it, ``None`` when the sandbox could not be built."""
        await self._ended.wait()
        status = self._sandbox.wait()
        return status if self._result is None else self._result

    def _on_end(self) -> None:
        self._loop.remove_reader(self._sandbox.fileno())
        self._ended.set()

    def _lose(self, process: int) -> None:
        self._loop.remove_reader(process)
        if not self._sandbox.over:
            self._kill(128 + signal.SIGKILL)

    def _forward(self, number: signal.Signals) -> None:
        self._send(number)
        if FORWARDED[number]:
            self._timers.append(self._loop.call_later(GRACE, self._kill, 128 + signal.SIGKILL))

    def _time_out(self) -> None:
        self._result = TIMED_OUT
        self._send(signal.SIGTERM)
        self._timers.append(self._loop.call_later(GRACE, self._kill, TIMED_OUT))

    def _send(self, number: signal.Signals) -> None:
        if not self._sandbox.signal(number):  # still being set up: there is nothing to be asked
            self._kill(128 + number)

    def _kill(self, result: int) -> None:
        if self._result is None:
            self._result = result
        self._sandbox.kill()
