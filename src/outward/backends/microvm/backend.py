"""The backend: which machine is started, and how its end is told."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import termios
from contextlib import ExitStack, contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.backends import bubblewrap
from outward.backends.memory import memory_file
from outward.backends.microvm import guest, image, qemu
from outward.backends.microvm.acceleration import Memory
from outward.backends.microvm.cpio import archive
from outward.backends.microvm.sandbox import MachineSandbox
from outward.backends.microvm.view import around
from outward.backends.protocol import Capabilities, Spec
from outward.backends.relays import Relays
from outward.core import HostError, Limits, Shortfall
from outward.isolation import images, programs, system
from outward.isolation.launch import Launch
from outward.isolation.rooted import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.backends.microvm.acceleration import Acceleration
    from outward.backends.microvm.image import Image
    from outward.backends.protocol import Place
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties

QEMU: Final = "qemu-system-x86_64"
_INSTALL: Final = "Install QEMU with the system's package manager (package `qemu-system-x86`)."

_MIB: Final = 1 << 20
_MEMORY: Final = 2048
"""MiB of a machine without a limit on memory. The host gives what is touched, no more."""
_LEAST: Final = 256
"""MiB below which the kernel does not start."""
_TOO_SMALL: Final = Shortfall("memory", f"a machine has at least {_LEAST} MiB", "Use the backend bubblewrap for less.")
_OVERHEAD: Final = 256 * _MIB
"""Octets that QEMU itself may need."""
_PROCESSORS: Final = 4
_PROBE_TIME: Final = {True: 10.0, False: 60.0}
"""Seconds in which a machine, with KVM and without, has to have run nothing. With it one second is much."""


def find(place: Place) -> MicroVM:
    """The backend. Raises :class:`HostError` where QEMU, the kernel or bubblewrap is missing."""
    machine = os.uname().machine
    if machine != "x86_64":
        raise HostError(f"the backend microvm is for x86_64, not {machine}", hint="Use --backend gvisor.")
    path = programs.installed(QEMU)
    if path is None:
        raise HostError(f"QEMU ({QEMU}) is not installed", hint=_INSTALL)
    return MicroVM(path, image.find(place.state), place)


def accelerated(state: Path) -> Acceleration | None:
    """How machines run here, as far as that is known without starting one."""
    path = programs.installed(QEMU)
    return None if path is None else Memory(state, path).known()


class MicroVM:
    """QEMU in the process sandbox."""

    name: Final = "microvm"
    caged: Final = True

    def __init__(self, path: str, kernel: Image, place: Place) -> None:
        self._path: Final = path
        self._image: Final = kernel
        self._place: Final = place
        self._limits: Final = place.limits
        self._root: Final = None if place.image is None else images.find(place.image, place.state / "images")
        self._memory: Final = Memory(place.state, path)
        self._outer: Final = bubblewrap.find(place._replace(limits=_of_qemu(place.limits), image=None))

    @property
    def programs(self) -> tuple[str, ...] | None:
        """See :class:`~outward.backends.protocol.Backend`."""
        return system.VISIBLE if self._root is None else None

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """See :class:`~outward.backends.protocol.Backend`. Memory is the machine's size: it holds whatever the host can."""
        others = tuple(each for each in self._outer.shortfalls if each.limit != "memory")
        memory = self._limits.memory
        return others if memory is None or memory >= _LEAST * _MIB else (*others, _TOO_SMALL)

    @property
    def warnings(self) -> tuple[str, ...]:
        """That it would be slow, as soon as that is known."""
        known = self._memory.known()
        return () if known is None or known.kvm else (f"the machine runs {known}",)

    def probe(self) -> Capabilities:
        """See :class:`~outward.backends.protocol.Backend`."""
        self._outer.probe()
        acceleration = self._acceleration()
        if obstacle := self._obstacle(kvm=acceleration.kvm):
            raise HostError(
                f"QEMU starts no machine here: {obstacle}",
                hint="Make the kernel anew (outward image kernel), and look at what QEMU says above.",
            )
        return Capabilities(self._path, (str(acceleration),))

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """All that the host has, or the image's programs with our own files. Where its files lie is known when it starts."""
        if self._root is None:
            return system.base(empties, home)
        return system.beside_image(home)

    def describe(self, launch: Launch) -> Iterator[str]:
        """The machine, and what is around it."""
        memory, processors = self._size()
        yield f"{'machine':<11}{self._path}, {memory} MiB, {processors} processors, kernel {self._image.kernel}"
        if self._root is not None:
            yield f"{'image':<11}{self._root.name}  (from {self._root.source})"
        known = self._memory.known()
        yield f"{'processor':<11}{known or 'with KVM if a machine that is tried first ends in time, else translated'}"
        yield f"{'seccomp':<11}default, around QEMU; {launch.seccomp} does not apply in the machine"

    @contextmanager
    def launch(self, spec: Spec) -> Iterator[MachineSandbox]:
        """See :class:`~outward.backends.protocol.Backend`."""
        with ExitStack() as stack:
            root = None
            if self._root is not None:
                root = stack.enter_context(self._root.unpacked())
                check(self._root, root, guest.NEEDED, spec.launch.operations)
            yield stack.enter_context(self._start(spec, kvm=self._acceleration().kvm, root=root))

    def _acceleration(self) -> Acceleration:
        return self._memory.ask(lambda: self._obstacle(kvm=True))

    @contextmanager
    def _start(self, spec: Spec, *, kvm: bool, root: Path | None = None) -> Iterator[MachineSandbox]:
        launch = spec.launch
        with ExitStack() as stack:
            ours, theirs = socket.socketpair()
            stack.callback(ours.close)
            stack.callback(theirs.close)
            relays = stack.enter_context(Relays(spec.stdio, pipes=not launch.terminal))
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, null)
            stdin, out, err = relays.streams
            plan = guest.plan(launch, self._limits, _terminal_size(stdin) if launch.terminal else (0, 0))
            initrd = memory_file(self._image.initrd.read_bytes() + archive(guest.files(plan)), stack)
            kernel = os.open(self._image.kernel, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, kernel)
            handed = stack.enter_context(ExitStack())
            sinks = (_duplicate(out, handed), _duplicate(err, handed))
            descriptors = qemu.Descriptors(kernel, initrd, theirs.fileno(), *sinks)
            argv = qemu.argv(self._path, self._machine(kvm=kvm), descriptors, terminal=launch.terminal)
            outer = Spec(
                Launch(argv, tuple(around(launch.operations, kvm=kvm, root=root)), {}, "/", terminal=False),
                spec.session,
                (stdin, stdin if launch.terminal else null, err),
                spec.layer,
                inherit=tuple(descriptors),
                enclosure=spec.enclosure,
            )
            sandbox = stack.enter_context(self._outer.launch(outer))
            theirs.close()
            handed.close()
            relays.hand_over()
            yield MachineSandbox(sandbox, ours, relays)

    def _machine(self, *, kvm: bool) -> qemu.Machine:
        memory, processors = self._size()
        return qemu.Machine(memory, processors, kvm, _khz())

    def _size(self) -> tuple[int, int]:
        memory = _MEMORY if self._limits.memory is None else max(_LEAST, self._limits.memory // _MIB)
        available = len(os.sched_getaffinity(0))
        wanted = _PROCESSORS if self._limits.cpus is None else ceil(self._limits.cpus)
        return memory, max(1, min(available, wanted))

    def _obstacle(self, *, kvm: bool) -> str:
        """Runs a machine that does nothing, and may use what it likes: what went wrong, if anything did."""
        free = MicroVM(self._path, self._image, self._place._replace(limits=Limits(), image=None))
        operations = tuple(system.shown())
        launch = Launch(("/bin/true",), operations, {}, "/", terminal=False)
        patience = _PROBE_TIME[kvm]
        with Path(os.devnull).open("r+b") as null:
            spec = Spec(launch, "probe", (null.fileno(),) * 3)
            with free._start(spec, kvm=kvm) as trial:
                poll = select.poll()
                poll.register(trial.fileno(), select.POLLIN)
                if not poll.poll(patience * 1000):
                    return f"a machine did not end within {patience:g} seconds"
                return "" if trial.wait() == 0 else "QEMU ended before the machine did"


def _of_qemu(limits: Limits) -> Limits:
    """What QEMU is held to from outside; the rest is held in the machine."""
    memory = None if limits.memory is None else limits.memory + _OVERHEAD
    return limits._replace(memory=memory, pids=None, files=None, disk=None)


def _duplicate(descriptor: int, stack: ExitStack) -> int:
    """Under a number of its own: QEMU takes 0, 1 and 2 for its own streams."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    stack.callback(os.close, copy)
    return copy


def _terminal_size(descriptor: int) -> tuple[int, int]:
    return termios.tcgetwinsize(descriptor)


def _khz() -> int:
    """The host's clock."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("cpu MHz"):
            return int(float(line.split(":")[1]) * 1000)
    return 2_000_000
