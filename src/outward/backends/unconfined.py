"""No sandbox: a plain process that is told where the gateway is, and may ignore it.

For machines on which nothing else works, and people who said so at length. What the operations show elsewhere is named where
it really is; nothing is hidden, and nothing is kept in.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from outward.backends.attended import Attended
from outward.backends.child import Child
from outward.backends.protocol import Capabilities
from outward.cage import PORT, Sockets
from outward.core import HostError, Shortfall
from outward.isolation import programs, system
from outward.isolation.contents import Contents
from outward.isolation.operations import Bind, File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.backends.protocol import Place, Spec
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties

_REMEDY: Final = "Use any other backend."
_GROUPS: Final = ("memory", "cpus", "pids", "files", "disk")


def find(place: Place) -> Unconfined:
    """The backend that is none."""
    return Unconfined(place)


class Unconfined:
    """A plain process."""

    name: Final = "none"
    caged: Final = False
    programs: Final = ("/",)
    warnings: Final = ()

    def __init__(self, place: Place) -> None:
        self._limits: Final = place.limits
        self._contents: Final = Contents(place.state / "none")

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """All limits but time."""
        asked = (name for name in _GROUPS if getattr(self._limits, name) is not None)
        return tuple(Shortfall(name, "nothing is enforced without a sandbox", _REMEDY) for name in asked)

    def probe(self) -> Capabilities:
        """Always there."""
        return Capabilities("none", ("nothing is confined",))

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """The agent's home; everything else is there anyway."""
        yield Bind(home, system.HOME, writable=True)

    def describe(self, launch: Launch) -> Iterator[str]:
        """What it is."""
        yield f"{'none':<11}no sandbox: nothing above is hidden or kept in"

    @contextmanager
    def launch(self, spec: Spec) -> Iterator[Process]:
        """See :class:`~outward.backends.protocol.Backend`."""
        if spec.layer is not None:
            raise HostError("review mode needs a sandbox", hint=_REMEDY)
        shell = programs.installed("env")
        if shell is None:
            raise HostError("env is not installed", hint="Install coreutils with the system's package manager.")
        launch = spec.launch
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            listener.setblocking(False)
            environment = self._environment(launch, listener.getsockname()[1])
            argv = (shell, f"--chdir={launch.directory}", "--", *launch.command)
            with Child(argv, environment, spec.stdio, terminal=launch.terminal) as child:
                yield Process(child, Sockets(proxy=(listener,)))

    def _environment(self, launch: Launch, port: int) -> dict[str, str]:
        """The variables, with the paths and the port that are true out here. The longest names first."""
        true = {f"127.0.0.1:{PORT}": f"127.0.0.1:{port}"}
        for operation in launch.operations:
            if isinstance(operation, File):
                true[operation.path] = self._contents.hold(operation.content)
            elif isinstance(operation, Bind) and operation.source != operation.target:
                true[operation.target] = operation.source
        found = dict(launch.environment)
        for inside in sorted(true, key=len, reverse=True):
            found = {name: value.replace(inside, true[inside]) for name, value in found.items()}
        return found


class Process(Attended):
    """A plain process, with a group of its own."""

    def signal(self, number: int) -> bool:
        """To its group, which it leads from the start."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
        return True

    def kill(self) -> None:
        """Its group, too: what has left that stays."""
        self.signal(signal.SIGKILL)
