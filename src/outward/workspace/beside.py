"""Work that a forked child does beside its parent, on another processor: threads of Python take turns."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from outward import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def beside(work: Callable[[], bytes]) -> Iterator[Callable[[], bytes | None]]:
    """Has a child do ``work``. What is given waits for the outcome, which is nothing where there is none: the child could not
    be started, was killed, or failed. Then the work is the caller's to do. Forks: enter it while there are no threads.
    """
    started = _start(work)
    if started is None:
        yield lambda: None
        return
    pid, answer = started
    waiting = True

    def outcome() -> bytes | None:
        nonlocal waiting
        with open(answer, "rb", closefd=False) as file:
            content = file.read()
        waiting = False
        return content if os.waitpid(pid, 0)[1] == 0 else None

    try:
        yield outcome
    finally:
        os.close(answer)
        if waiting:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _start(work: Callable[[], bytes]) -> tuple[int, int] | None:
    try:
        ours, theirs = os.pipe()
    except OSError:  # no more descriptors
        return None
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:  # no more processes
        os.close(ours)
        os.close(theirs)
        return None
    if pid == 0:
        _answer(work, theirs, parent)
    os.close(theirs)
    return pid, ours


def _answer(work: Callable[[], bytes], to: int, parent: int) -> NoReturn:
    status = 1
    try:
        kernel.die_with_parent(parent)
        with open(to, "wb") as file:
            file.write(work())
        status = 0
    finally:
        os._exit(status)
