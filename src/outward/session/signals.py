"""Signals to ``outward`` while a command runs."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FORWARDED: Final[dict[signal.Signals, bool]] = {
    # Signals that go to the command, and whether they mean that it has to end.
    signal.SIGTERM: True,
    signal.SIGHUP: True,
    signal.SIGINT: False,
    signal.SIGQUIT: False,
    signal.SIGUSR1: False,
    signal.SIGUSR2: False,
}


@contextmanager
def held() -> Iterator[None]:
    """Keeps them waiting: they must not end us while the command is there and cannot be told, or a terminal is raw."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def let_through() -> Iterator[None]:
    """Delivers them, those that waited first."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
