"""Containers, and their stages, of sessions that could not end in order: neither they nor their reaper were left to, or the
machine was not.

While a session may have containers there is a file with its name, and on it a lock, which the kernel releases with the session.
A file without a lock is a dead session's: the next start asks the engine for what is labelled as that session's and removes it.
Where there is no such file, the engine is not asked, and no start waits for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from outward.backends.containers import line
from outward.backends.containers.stage import strike
from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outward.backends.containers.engine import Engine

_PASSING: Final = frozenset({"PATH", "TERM", "TMPDIR", "DBUS_SESSION_BUS_ADDRESS"})
"""Variables that change from one log-in to the next, while the engine and its containers stay the same."""

_ELSEWHERE: Final = "Set OUTWARD_HOME to a directory on a local file system."

_DRAFT: Final = "."
"""How files begin that are not locked yet."""


class Remains:
    """The files of one engine and one user, below ``directory``; ``stages`` is the directory of sessions' stages."""

    def __init__(self, engine: Engine, directory: Path, stages: Path) -> None:
        self._engine: Final = engine
        self._stages: Final = stages
        which = sorted(item for item in engine.environment.items() if item[0] not in _PASSING)
        name = hashlib.sha256(json.dumps([engine.path, os.geteuid(), which]).encode()).hexdigest()[:20]
        self._directory: Final = directory / name

    def sweep(self) -> None:
        """Removes the containers of dead sessions. What the engine does not remove now is left for the next time."""
        with suppress(FileNotFoundError):
            for file in [file for file in self._directory.iterdir() if not file.name.startswith(_DRAFT)]:
                with suppress(HostError, FileNotFoundError), file.open("rb") as held:
                    if _lock(held.fileno()):
                        self._remove(file.name)
                        file.unlink()

    @contextmanager
    def noted(self, session: str) -> Iterator[None]:
        """Has it known that ``session`` may have containers. After an error nobody knows: it stays known."""
        draft, file = self._directory / f"{_DRAFT}{session}", self._directory / session
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = draft.open("xb")
            _lock(held.fileno())
            draft.rename(file)  # it comes to be with its lock
        except OSError as error:
            raise HostError(
                f"cannot keep a locked file in {self._directory}: {error.strerror}", hint=_ELSEWHERE
            ) from error
        with held:
            yield
            file.unlink(missing_ok=True)

    def _remove(self, session: str) -> None:
        """Raises :class:`HostError`, also where there is something that stays."""
        label = f"label={line.LABEL}={session}"
        if found := self._engine.ask("ps", "--all", "--quiet", "--filter", label).split():
            self._engine.ask(*self._engine.removal(found))
        strike(self._stages / session)


def _lock(descriptor: int) -> bool:
    """Whether nobody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
