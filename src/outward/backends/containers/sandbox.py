"""A command that runs in a container."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward.backends.attended import Attended

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.backends.child import Child
    from outward.cage import Sockets


class Container(Attended):
    """``client`` is the engine's client, which is joined to the command and ends after it. ``leader`` gives the process id,
    here outside, of the process group that gets signals; ``anchor`` is that of the process with which everything ends."""

    def __init__(self, client: Child, sockets: Sockets, leader: Callable[[], int | None], anchor: int) -> None:
        super().__init__(client, sockets)
        self._leader: Final = leader
        self._anchor: Final = anchor

    def signal(self, number: int) -> bool:
        """Past the engine: clients pass signals on to one process only."""
        leader = self._leader()
        if leader is None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(leader, number)
        return True

    def kill(self) -> None:
        """The kernel kills all of a process namespace with its first process."""
        with suppress(ProcessLookupError):
            os.kill(self._anchor, signal.SIGKILL)
