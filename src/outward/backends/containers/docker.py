"""Docker: a *holder* and, in its namespaces, the command.

The holder is a container that waits for its standard input to end. Its network namespace is made a cage before the command
starts; its process namespace is the command's as well, so that the kernel ends everything when the holder ends, and that ends
with us. (gVisor shares none: there it is for the daemon to end the command, see :class:`GVisorContainer`.)
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outward.backends.child import Child
from outward.backends.containers import engine as engines
from outward.backends.containers import layered, line, root, runtimes
from outward.backends.containers.common import SHELL, Builder
from outward.backends.containers.mounts import volume
from outward.backends.containers.sandbox import Container, GVisorContainer, anchored, words_of
from outward.backends.containers.stage import obstacle, staged, strike
from outward.backends.protocol import Capabilities
from outward.cage import enter
from outward.core import HostError, Shortfall
from outward.isolation import runsc, system
from outward.isolation.system import UID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.backends.containers.engine import Engine
    from outward.backends.containers.mounts import Mount
    from outward.backends.protocol import Place, Spec
    from outward.cage import Sockets
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties

_HOLD: Final = (SHELL, "-c", "cat; exit")
"""Says again what it is told, until nobody can say anything; its name follows. The shell takes care of processes that lose
their parents."""

_ROOT: Final = (
    "with root's docker the command is root of this machine, without any capability but in no user namespace of its own: "
    "prefer --backend podman or bubblewrap, or a docker daemon without root (dockerd-rootless)"
)

_MAPPED: Final = f"users as the daemon maps them (userns-remap): {UID} inside is you outside"
_UNMAPPED: Final = "docker's daemon maps users (userns-remap) and is told not to: {}"

_GROUPS: Final = {"memory": "MemoryLimit", "cpus": "CpuCfsQuota", "pids": "PidsLimit"}
"""The limits, and what the daemon calls its ability to hold them."""


def find(place: Place) -> Docker:
    """The backend. Raises :class:`HostError` where there is no docker, or its daemon does not answer."""
    engine = engines.find("docker", place.environment)
    docker = Docker(engine, json.loads(_ask(engine, "info", "--format", "{{json .}}")), place)
    if not docker.enterable:
        raise HostError(
            "docker's daemon is root's and you are not, so its containers' networks cannot be entered",
            hint="Use --backend podman or bubblewrap, or a docker daemon of your own (dockerd-rootless).",
        )
    return docker


def _ask(engine: Engine, *arguments: str) -> str:
    try:
        return engine.ask(*arguments)
    except HostError as error:
        hint = "Is its daemon running, and may you use it (the group `docker`)? --backend bubblewrap needs neither."
        raise HostError(error.message, hint=hint) from error


class Docker:
    """Docker with ``info``, what its daemon says of itself."""

    name: Final = "docker"
    caged: Final = False

    def __init__(self, engine: Engine, info: dict[str, Any], place: Place) -> None:
        if errors := info.get("ServerErrors"):
            raise HostError(f"docker says: {errors[0]}", hint="Is its daemon running, and may you use it?")
        self._engine: Final = engine
        self._info: Final = info
        self._runtime: Final = runtimes.choose(place.runtime, info)
        if self._runtime.gvisor:
            place = place._replace(limits=runsc.held(place.limits))
        # gVisor (of 2022) starts nothing in such a mapping.
        maps = self._is("userns") and not self._is("rootless") and not self._runtime.gvisor
        self._obstacle: Final = obstacle(place.seen, line.caller()) if maps else ""
        self._mapped: Final = maps and not self._obstacle
        # A daemon without root maps root inside to who runs it: the caller.
        user = (0, 0) if self._is("rootless") else (UID, UID) if self._mapped else line.caller()
        self._build: Final = Builder(engine, place, user, recursive=self._is("rootless"))

    @property
    def enterable(self) -> bool:
        """Whether we have power over the namespaces that it makes."""
        return self._is("rootless") or line.caller()[0] == 0

    def _is(self, option: str) -> bool:
        return any(each.split(",")[0] == f"name={option}" for each in self._info.get("SecurityOptions") or ())

    @property
    def programs(self) -> tuple[str, ...] | None:
        """See :class:`~outward.backends.protocol.Backend`, as for all of these."""
        return self._build.programs

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """What the daemon says it cannot."""
        missing = [limit for limit, ability in _GROUPS.items() if not self._info.get(ability)]
        remedy = (
            "Give docker a kernel and a control group hierarchy with that controller (`docker info` shows warnings)."
        )
        found = self._build.shortfalls(Shortfall(limit, "docker cannot enforce it here", remedy) for limit in missing)
        return (*found, runsc.PIDS) if self._runtime.gvisor and self._build.limits.pids is not None else found

    @property
    def warnings(self) -> tuple[str, ...]:
        """Whether the command is root of this machine."""
        if self._is("rootless") or self._runtime.gvisor or self._build.user[0] != 0:
            return ()
        return (*([_UNMAPPED.format(self._obstacle)] if self._obstacle else []), _ROOT)

    def probe(self) -> Capabilities:
        """Starts nothing: the daemon has answered already."""
        variants = tuple(("--runtime", name) for name in runtimes.of_gvisor(self._info))
        users = (_MAPPED,) if self._mapped else (_UNMAPPED.format(self._obstacle),) if self._obstacle else ()
        return Capabilities(f"docker {self._info.get('ServerVersion', '')}", users, variants)

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """The host's programs or the image's."""
        return self._build.system(empties, home)

    def describe(self, launch: Launch) -> Iterator[str]:
        """The line that confines."""
        for word in (*self._confined(launch, "SESSION"), *self._runtime.arguments):
            yield f"{'docker':<11}{word}"
        if self._mapped:
            yield f"{'docker':<11}{_MAPPED}"
        if self._runtime.gvisor:
            yield f"{'kernel':<11}gVisor, seccomp {launch.seccomp} does not apply"

    @contextmanager
    def launch(self, spec: Spec) -> Iterator[Container]:
        """See :class:`~outward.backends.protocol.Backend`."""
        held, command = line.name(spec.session, "-cage"), line.name(spec.session)
        launch = spec.launch
        found = self._build.mounts(
            filter(runsc.can_cover, launch.operations) if self._runtime.gvisor else launch.operations
        )
        with ExitStack() as stack:
            image = self._build.image or self._root(self._build.tree(launch.operations, found))
            stack.enter_context(self._build.accounted(spec.session, (command, held)))
            confined = self._confined(launch, spec.session)
            holding = [*confined, *self._runtime.holding, *self._programs(found), "--workdir=/"]
            holder = self._hold(held, holding, image, stack)
            # Ended by us: it may be an image's, and whoever fails from here on does not wait for its good will.
            anchor = anchored(holder, lambda: held in words_of(holder), stack)
            sockets = enter(Path(f"/proc/{holder}/ns/net"))
            stack.callback(sockets.close)
            variables, descriptor = self._build.environment(launch, stack)
            shared = [f"--network=container:{held}", *self._runtime.arguments, *variables]
            shared += [] if self._runtime.gvisor else [f"--pid=container:{held}"]
            shared += ["--tty"] if launch.terminal else []
            mounted = self._mounted(spec, found, holder)
            program, *arguments = launch.command
            client = stack.enter_context(
                Child(
                    [
                        *(self._engine.path, "run", f"--name={command}", *confined, *shared, *mounted),
                        *(f"--entrypoint={program}", image, *arguments),
                    ],
                    self._engine.environment,
                    spec.stdio,
                    inherit=(descriptor,),
                    terminal=launch.terminal,
                )
            )
            sandbox = self._sandbox(client, sockets, spec.session, anchor)
            try:
                yield sandbox
            finally:
                sandbox.kill()
                client.wait()  # it ends with its container

    def _sandbox(self, client: Child, sockets: Sockets, session: str, anchor: int) -> Container:
        ours = os.geteuid() == 0 or self._is("rootless")
        command = line.name(session)
        leader = partial(self._leader, command, self._build.stage(session))
        if self._runtime.gvisor:
            return GVisorContainer(client, sockets, leader, anchor, ours=ours, engine=self._engine, name=command)
        return Container(client, sockets, leader, anchor, ours=ours)

    def _confined(self, launch: Launch, session: str) -> list[str]:
        """The line. Where a daemon's mapping of users cannot be used, files would belong to nobody in it."""
        unmapped = ["--userns=host"] if self._is("userns") and not self._mapped else []
        return [*unmapped, *self._build.confined(launch, session)]

    def _root(self, entries: Iterable[Any]) -> str:
        """The image of a root directory with nothing in it; it is made when it is not there."""
        entries = tuple(entries)
        name = f"{line.NAME}-root:{root.digest(entries)}"
        with suppress(HostError):
            self._engine.ask("image", "inspect", "--format", "{{.Id}}", name)
            return name
        content = os.memfd_create("outward")
        try:
            os.write(content, root.archive(entries))
            self._engine.ask("import", "-", name, stdin=content)
        finally:
            os.close(content)
        return name

    def _programs(self, found: Iterable[Mount]) -> list[str]:
        """What the holder needs to run: programs, where they are not the image's."""
        if self._build.image is not None:
            return []
        return self._build.mount_arguments(mount for mount in found if mount.target in system.SYSTEM)

    def _mounted(self, spec: Spec, found: list[Mount], holder: int) -> list[str]:
        layer, workspace = spec.layer, spec.launch.directory
        overlay = None if layer is None else layered.laid_out(layer)
        if layer is not None:
            found = [mount for mount in found if mount.target != workspace]
        if self._mapped:
            with staged(self._build.stage(spec.session), holder, line.caller()) as stage:
                found = [stage.mount(mount) for mount in found]
                overlay = None if layer is None else stage.layer(layer).overlay
        volumes = () if overlay is None else volume(workspace, overlay.options())
        return [*volumes, *self._build.mount_arguments(found)]

    def _hold(self, name: str, confined: list[str], image: str, stack: ExitStack) -> int:
        """Starts the holder: its process id, outside."""
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        said, heard = (
            stack.enter_context(os.fdopen(ours_in, "wb", 0)),
            stack.enter_context(os.fdopen(ours_out, "rb", 0)),
        )
        program, *arguments = _HOLD
        argv = [self._engine.path, "run", f"--name={name}", *confined, *line.networked("none")]
        try:
            client = Child(
                [*argv, f"--entrypoint={program}", image, *arguments, name],
                self._engine.environment,
                (theirs_in, theirs_out, 2),
            )
            stack.enter_context(client)
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        stack.callback(client.wait)
        stack.callback(said.close)  # before that: the holder ends then, and with it its client
        with suppress(BrokenPipeError):
            said.write(b"\n")
        if not heard.read(1):
            raise HostError("docker did not start a container, so nothing was run", hint="Its message is above.")
        process = self._process(name)
        if process is None:
            raise HostError("docker's container ended before anything was run")
        return process

    def _leader(self, name: str, stage: Path) -> int | None:
        process = self._process(name)
        if process is not None:
            strike(stage)  # what was on it is mounted inside by now
        return process

    def _process(self, name: str) -> int | None:
        try:
            return int(self._engine.ask("inspect", "--format", "{{.State.Pid}}", name)) or None
        except HostError:  # it is not there yet, or no more
            return None
