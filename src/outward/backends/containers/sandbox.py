"""A command that runs in a container."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.backends.attended import Attended
from outward.core import HostError
from outward.isolation import runsc

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from outward.backends.child import Child
    from outward.backends.containers.engine import Engine
    from outward.cage import Sockets

_NOT_HERE: Final = "the container that was started is no process of this machine, or ended at once"
_HERE: Final = (
    "The engine has to run on this machine itself: look at DOCKER_HOST, DOCKER_CONTEXT and podman's connections."
)


def anchored(process: int, proof: Callable[[], bool], stack: ExitStack) -> int:
    """A pidfd of a container's first process, which ``stack`` ends and closes.

    An engine that is elsewhere (``DOCKER_HOST``, a virtual machine) gives a number of its own, which is anybody's here: ``proof``
    looks at whether it is the container's. Raises :class:`HostError` where it is not, or has ended.
    """
    try:
        anchor = os.pidfd_open(process)
    except OSError as error:
        raise HostError(_NOT_HERE, hint=_HERE) from error
    stack.callback(os.close, anchor)
    if not proof():
        raise HostError(_NOT_HERE, hint=_HERE)
    stack.callback(end, anchor)
    return anchor


def words_of(process: int) -> list[str]:
    """The command line of a process; none where there is none to be seen."""
    try:
        return os.fsdecode(Path(f"/proc/{process}/cmdline").read_bytes()).split("\0")
    except OSError:
        return []


def end(anchor: int) -> None:
    """The kernel kills all of a process namespace with its first process. It is not our child: its number may be another's by
    now, what its pidfd stands for is not."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(anchor, signal.SIGKILL)


class Container(Attended):
    """``client`` is the engine's client, which is joined to the command and ends after it. ``leader`` gives the process id,
    here outside, of the process group that gets signals; ``anchor`` is a pidfd of the process with which everything ends.
    ``ours`` says that it is in a user namespace over which we have power."""

    def __init__(
        self, client: Child, sockets: Sockets, leader: Callable[[], int | None], anchor: int, *, ours: bool = True
    ) -> None:
        super().__init__(client, sockets)
        self._ours: Final = ours
        self._leader: Final = leader
        self._anchor: Final = anchor

    @property
    def entrance(self) -> Callable[[], int | None] | None:
        """The command's first process; but whoever may ask a daemon of root's and is not root can enter nothing of it."""
        return self._leader if self._ours else None

    def signal(self, number: int) -> bool:
        """Past the engine: clients pass signals on to one process only."""
        leader = self._leader()
        if leader is None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(leader, number)
        return True

    def kill(self) -> None:
        """Ends the process with which everything ends."""
        end(self._anchor)


class GVisorContainer(Container):
    """The container ``name`` of docker's, run by gVisor: its processes are nobody's on this kernel, so the engine is asked.
    ``leader`` gives the process id of gVisor's kernel."""

    def __init__(
        self,
        client: Child,
        sockets: Sockets,
        leader: Callable[[], int | None],
        anchor: int,
        *,
        ours: bool,
        engine: Engine,
        name: str,
    ) -> None:
        super().__init__(client, sockets, leader, anchor, ours=ours)
        self._engine: Final = engine
        self._name: Final = name

    @property
    def entrance(self) -> Callable[[], int | None] | None:
        """The gofer, which docker's shim has taken over from runsc, like the kernel beside it."""
        return self._gofer if self._ours else None

    def _gofer(self) -> int | None:
        kernel = self._leader()
        shim = None if kernel is None else runsc.parent_of(kernel)
        return None if shim is None else runsc.gofer(shim)

    def signal(self, number: int) -> bool:
        """To the command alone: docker knows no groups."""
        try:
            self._engine.ask("kill", f"--signal={number}", self._name)
        except HostError:  # it is not there yet, or no more
            return False
        return True

    def kill(self) -> None:
        """The client first: what it has not asked for by then is not made any more."""
        if not self._child.over:
            self._child.kill()
            self._child.wait()
            with suppress(HostError):  # it was not there yet, or has just ended
                self._engine.ask(*self._engine.removal((self._name,)))
        super().kill()
