"""gVisor: programs run on a kernel of its own, written in Go, that has few system calls of the host's to make.

The cage's child makes a mount namespace with a bundle in memory and becomes ``runsc run``: what was mounted and written for
the sandbox is gone with its last process, however that ends. runsc has no capability over the cage: it is in a user namespace
below the cage's.
"""

from __future__ import annotations

import os
import select
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.backends.caged import Launched
from outward.backends.protocol import Capabilities, Spec
from outward.backends.relays import Relays
from outward.cage import Cage, Command
from outward.core import HostError
from outward.isolation import images, limits, oci, runsc, system
from outward.isolation.answers import Answer, identity
from outward.isolation.launch import Launch
from outward.isolation.operations import Bind, Kernel
from outward.isolation.rooted import check, rooted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outward.backends.protocol import Place
    from outward.core import Shortfall
    from outward.isolation.operations import Operation
    from outward.isolation.runsc import Runsc
    from outward.isolation.system import Empties

_PROBE_TIME: Final = 15.0
"""Seconds after which a platform does not work. A trial takes a quarter of one."""

_BUNDLE: Final = 64 << 20
"""Octets that what is ours in a bundle may take: copies of an image's small files, above all."""

_KILL_TIME: Final = 5.0
"""Seconds in which runsc has to have passed a signal on."""


def find(place: Place) -> GVisor:
    """The backend. Raises :class:`HostError` where runsc is missing."""
    return GVisor(runsc.find(), place)


class GVisor:
    """runsc in a cage of its own."""

    name: Final = "gvisor"
    caged: Final = True
    warnings: Final = ()

    def __init__(self, tool: Runsc, place: Place) -> None:
        self._tool: Final = tool
        self._image: Final = None if place.image is None else images.find(place.image, place.state / "images")
        self._limits: Final = place.limits
        planned = limits.plan(runsc.held(place.limits._replace(files=None)))
        self._shortfalls: Final = planned.shortfalls
        self._in_memory: Final = planned.in_memory
        # Files and their sizes are for gVisor's own kernel to limit (see the bundle): its memory is one large file here.
        self._holding: Final = planned._replace(limits=planned.limits._replace(disk=None))
        self._directory: Final = place.state / "gvisor"

    @property
    def programs(self) -> tuple[str, ...] | None:
        """See :class:`~outward.backends.protocol.Backend`."""
        return system.VISIBLE if self._image is None else None

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """See :class:`~outward.backends.protocol.Backend`."""
        pids = () if self._limits.pids is None else (runsc.PIDS,)
        return (*self._shortfalls, *pids)

    def probe(self) -> Capabilities:
        """See :class:`~outward.backends.protocol.Backend`."""
        return Capabilities(self._tool.path, (f"platform {self._try_platforms()}",))

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """All that the host has, or the image's programs with our own files. Where its files lie is known when it starts."""
        if self._image is not None:
            return system.beside_image(home, in_memory=self._in_memory)
        return system.base(empties, home, in_memory=self._in_memory)

    def describe(self, launch: Launch) -> Iterator[str]:
        """Its own kernel takes the system calls: our filter has nothing to filter there."""
        yield f"{'kernel':<11}gVisor ({self._tool.path}), seccomp {launch.seccomp} does not apply"
        if self._image is not None:
            yield f"{'image':<11}{self._image.name}  (from {self._image.source})"

    @contextmanager
    def launch(self, spec: Spec) -> Iterator[GVisorSandbox]:
        """See :class:`~outward.backends.protocol.Backend`."""
        with ExitStack() as stack:
            if self._image is not None:
                root = stack.enter_context(self._image.unpacked())
                operations = spec.launch.operations
                check(self._image, root, runsc.NEEDED, operations)
                operations = (*rooted(root, operations), *operations)
                spec = spec._replace(launch=spec.launch._replace(operations=operations))
            yield stack.enter_context(self._start(spec, self._platform()))

    @contextmanager
    def _start(self, spec: Spec, platform: str) -> Iterator[GVisorSandbox]:
        self._make_directory()
        with ExitStack() as stack:
            built, theirs = os.pipe()
            stack.callback(os.close, built)
            hold = stack.enter_context(self._holding.open())
            relays = stack.enter_context(Relays(spec.stdio))
            try:
                command = self._command(spec, platform, theirs)._replace(stdio=relays.streams)
                cage = stack.enter_context(Cage.open(command, spec.enclosure))
            finally:
                os.close(theirs)
            hold(cage.pid)
            cage.release()
            relays.hand_over()
            process = os.pidfd_open(cage.pid)
            stack.callback(os.close, process)
            yield GVisorSandbox(cage, process, built, relays, partial(self._send, cage.pid))

    def _command(self, spec: Spec, platform: str, built: int) -> Command:
        directory = str(self._directory)
        bundle = oci.bundle(spec.launch, directory, self._tool.prefix, self._limits)
        parent = os.getpid()
        # Directories of the agent's may lie there, too.
        most = self._in_memory
        size = "" if most is None else f",size={most + _BUNDLE}"

        def prepare() -> None:
            if spec.layer is not None:
                spec.layer.mount()
            _enter(parent)
            kernel.mount("tmpfs", directory, f"mode=0700{size}")
            bundle.write(self._directory)

        argv = self._tool.argv(platform, directory, f"/proc/self/fd/{built}")
        return Command(argv, spec.stdio, (built,), prepare, spec.launch.terminal)

    def _send(self, pid: int, number: int) -> bool:
        network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        owner = kernel.owner(network)
        argv = self._tool.kill_argv(pid, owner, str(self._directory), number)
        try:
            done = subprocess.run(argv, pass_fds=(owner,), capture_output=True, timeout=_KILL_TIME, env={})
        except subprocess.TimeoutExpired:
            return False
        finally:
            os.close(owner)
            os.close(network)
        return done.returncode == 0

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"cannot make {self._directory}: {error.strerror}") from error

    def _platform(self) -> str:
        """The platform that worked when it was tried with the same runsc."""
        answer = Answer(self._directory.with_name("gvisor-platform"), identity(self._tool.path))
        platform = answer.kept()
        if platform not in runsc.PLATFORMS:
            platform = self._try_platforms()
            answer.keep(platform)
        return platform

    def _try_platforms(self) -> str:
        for platform in runsc.PLATFORMS:
            if self._works(platform):
                return platform
        raise HostError(
            f"gVisor does not work on this machine: runsc ends nothing well with --platform {' or '.join(runsc.PLATFORMS)}",
            hint="It needs user namespaces and ptrace; see `runsc --debug --debug-log=/tmp/runsc/ do true`.",
        )

    def _works(self, platform: str) -> bool:
        """Runs the smallest sandbox. Whatever is not over in time does not work."""
        shown = tuple(Bind(path, path) for path in system.SYSTEM if os.path.isdir(path))  # noqa: PTH112 (start-up)
        launch = Launch(
            ("/bin/true",), (*shown, Kernel("proc", "/proc"), Kernel("dev", "/dev")), {}, "/", terminal=False
        )
        with (
            Path(os.devnull).open("r+b") as null,
            self._start(Spec(launch, "probe", (null.fileno(),) * 3), platform) as trial,
        ):
            poll = select.poll()
            poll.register(trial.fileno(), select.POLLIN)
            return bool(poll.poll(_PROBE_TIME * 1000)) and trial.wait() == 0


class GVisorSandbox(Launched):
    """A command in gVisor. runsc writes to ``built`` once its sandbox is there, and ends as the command does."""

    def __init__(self, cage: Cage, process: int, built: int, relays: Relays, send: Callable[[int], bool]) -> None:
        super().__init__(cage, process)
        self._built: Final = built
        self._relays: Final = relays
        self._send: Final = send
        self._is_built = False
        os.set_blocking(built, False)

    @property
    def entrance(self) -> Callable[[], int | None]:
        """The gofer: gVisor's kernel comes to files by it alone, so what is mounted there is what the command sees."""
        return partial(runsc.gofer, self._cage.pid)

    def signal(self, number: int) -> bool:
        """To every process inside: runsc knows no groups, and passes nothing on that is sent to itself."""
        if not self._was_built():
            return False
        return self._send(number)

    def wait(self) -> int | None:
        """runsc's own status, which is the command's."""
        code = os.waitstatus_to_exitcode(self._cage.wait())
        self._relays.finish()
        if not self._was_built():
            return None
        return code if code >= 0 else 128 - code

    def _was_built(self) -> bool:
        if not self._is_built:
            with suppress(BlockingIOError):
                self._is_built = bool(os.read(self._built, 64))
        return self._is_built


def _enter(parent: int) -> None:
    """A user namespace below the cage's in which runsc is root, and mounts of its own."""
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    kernel.map_own_ids(uid, gid, as_root=True)
    kernel.die_with_parent(parent)
