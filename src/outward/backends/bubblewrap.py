"""The process sandbox: a cage whose child becomes bubblewrap."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.backends.caged import Launched
from outward.backends.memory import memory_file
from outward.backends.protocol import Capabilities
from outward.backends.report import Report
from outward.cage import Cage, Command
from outward.isolation import bubblewrap, limits, seccomp, system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outward.backends.protocol import Place, Spec
    from outward.core import Shortfall
    from outward.isolation.launch import Launch
    from outward.isolation.limits import Holding
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties


def find(place: Place) -> Bubblewrap:
    """The backend. Raises :class:`HostError` where bubblewrap is missing or too old."""
    return Bubblewrap(bubblewrap.find(place.state / "bubblewrap"), limits.plan(place.limits))


class Bubblewrap:
    """Bubblewrap in a cage of its own."""

    name: Final = "bubblewrap"
    caged: Final = True
    programs: Final = system.VISIBLE
    warnings: Final = ()

    def __init__(self, tool: bubblewrap.Bubblewrap, holding: Holding) -> None:
        self._tool: Final = tool
        self._holding: Final = holding

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """See :class:`~outward.backends.protocol.Backend`."""
        return self._holding.shortfalls

    def probe(self) -> Capabilities:
        """See :class:`~outward.backends.protocol.Backend`."""
        bubblewrap.probe(self._tool)
        return Capabilities(self._tool.path)

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """All that the host has."""
        return system.base(empties, home, in_memory=self._holding.in_memory if self._tool.sizes else None)

    def describe(self, launch: Launch) -> Iterator[str]:
        """Nothing that the operations do not say."""
        yield f"{'seccomp':<11}{launch.seccomp}"

    @contextmanager
    def launch(self, spec: Spec) -> Iterator[BubblewrapSandbox]:
        """See :class:`~outward.backends.protocol.Backend`."""
        with ExitStack() as stack:
            status, theirs = os.pipe()
            stack.callback(os.close, status)
            hold = stack.enter_context(self._holding.open())
            try:
                cage = stack.enter_context(Cage.open(self._command(spec, theirs, stack), spec.enclosure))
            finally:
                os.close(theirs)
            hold(cage.pid)
            cage.release()
            process = os.pidfd_open(cage.pid)
            stack.callback(os.close, process)
            yield BubblewrapSandbox(cage, process, status)

    def _command(self, spec: Spec, status: int, stack: ExitStack) -> Command:
        held: list[int] = []

        def hold(content: bytes) -> int:
            held.append(memory_file(content, stack))
            return held[-1]

        launch = spec.launch
        text = self._tool.arguments(launch, seccomp=hold(seccomp.program(launch.seccomp)), status=status, hold=hold)
        arguments = hold(text)
        return Command(
            argv=self._tool.argv(launch, arguments),
            stdio=spec.stdio,
            inherit=(*held, status, *spec.inherit),
            prepare=spec.layer.mount if spec.layer is not None else None,
        )


class BubblewrapSandbox(Launched):
    """A command in bubblewrap, whose process namespace the kernel ends with it. ``status`` is where it reports."""

    def __init__(self, cage: Cage, process: int, status: int) -> None:
        super().__init__(cage, process)
        self._report: Final = Report(status)

    @property
    def entrance(self) -> Callable[[], int | None]:
        """The sandbox's init, once it has a child: it begins with that when all is mounted."""
        return lambda: next((init for init in kernel.children(self._cage.pid) if kernel.children(init)), None)

    def signal(self, number: int) -> bool:
        """The launcher and the sandbox's init are in other process groups."""
        command = self._command()
        if command is None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(command, number)
        return True

    def wait(self) -> int | None:
        """What bubblewrap reported."""
        self._cage.wait()
        self._report.read()
        return self._report.exit_status

    def _command(self) -> int | None:
        """The command's process id: the first child of the sandbox's init, once it leads a session of its own."""
        self._report.read()
        init = self._report.init
        if init is None:
            return None
        return next((pid for pid in kernel.children(init)[:1] if _leads_session(pid)), None)


def _leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False
