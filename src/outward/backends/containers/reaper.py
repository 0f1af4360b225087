"""Removes containers when we are gone, however that came about.

A process of its own, in a session of its own, waits at a pipe that only we hold. When it closes without a last word, we were
killed, and the engine is asked to remove what we started. It has none of our descriptors.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from outward.backends.containers.stage import strike
from outward.forked import close_all_but

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import NoReturn

    from outward.backends.containers.engine import Engine

_DONE: Final = b"."
_FAILED: Final = b"!"
_LATER: Final = 2.0
"""Seconds after which it is asked once more: what we had asked for may have been made after the first time."""

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Reaper:
    """Our end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe: Final = pipe

    def also(self, *arguments: str) -> None:
        """If we are killed, the engine is asked this too, once, after everything else."""
        os.write(self._pipe, json.dumps(arguments).encode() + b"\n")


@contextmanager
def reaping(engine: Engine, names: Sequence[str], stage: Path) -> Iterator[Reaper]:
    """Strikes the ``stage`` and removes the containers ``names`` after the context, or after our end. What is gone already is no
    error.

    Forks: enter it while there are no other threads.
    """
    theirs, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        _reap(engine, names, stage, theirs)
    os.close(theirs)
    try:
        yield Reaper(ours)
    except BaseException:
        os.write(ours, _FAILED)  # it does its work: who knows how far we came
        raise
    else:
        os.write(ours, _DONE)
    finally:
        os.close(ours)
        os.waitpid(pid, 0)


def _reap(engine: Engine, names: Sequence[str], stage: Path, pipe: int) -> NoReturn:
    try:
        os.setsid()
        close_all_but(pipe)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in _ENDING:  # a terminal or a service manager signals everybody
            signal.signal(number, signal.SIG_IGN)
        os.chdir("/")
        with os.fdopen(pipe, "rb") as told:
            *others, last = told.read().split(b"\n")
        with suppress(OSError):  # the containers go in any case
            strike(stage)
        if last != _DONE:
            for number in _ENDING:
                signal.signal(number, signal.SIG_DFL)
            for pause in (0,) if last == _FAILED else (0, _LATER):
                time.sleep(pause)
                _ask(engine, engine.removal(names))
            for other in others if last != _FAILED else ():
                _ask(engine, json.loads(other))
    finally:
        os._exit(0)


def _ask(engine: Engine, arguments: Sequence[str]) -> None:
    os.waitpid(os.posix_spawn(engine.path, (engine.path, *arguments), dict(engine.environment)), 0)
