"""Podman: a container that is made but not started, while its network namespace is made a cage.

The user 1000 inside is the caller outside, whoever that is; no other user inside is anybody outside.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.backends.child import Child
from outward.backends.containers import engine as engines
from outward.backends.containers import layered, line
from outward.backends.containers.common import SHELL, Builder
from outward.backends.containers.sandbox import Container, anchored, words_of
from outward.backends.protocol import Capabilities
from outward.cage import enter
from outward.core import HostError, Shortfall
from outward.isolation import programs, system
from outward.isolation.cgroups import CONTROLLERS, lacking, managed
from outward.isolation.system import UID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.backends.containers.engine import Engine
    from outward.backends.containers.reaper import Reaper
    from outward.backends.protocol import Place, Spec
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties
    from outward.workspace.layer import Layer

_INIT: Final = (SHELL, "-c", '"$@"; exit $?', "sh")
"""The first process of a namespace cannot be ended by a signal that it does not expect: that is this one, not the command. It
takes care of processes that lose their parents, too."""

_OTHERS: Final = 200000
"""Where users inside that are nobody outside begin, for root; others have their own ranges (/etc/subuid)."""

_BESIDE: Final = Path("/sys/fs/cgroup/unified/cgroup.controllers")

_ONLY_CRUN: Final = "podman's runtime crun starts nothing where control groups of both versions hold controllers"
_INSTEAD: Final = "Install runc, which does, or boot with systemd.unified_cgroup_hierarchy=1."


def find(place: Place) -> Podman:
    """The backend. Raises :class:`HostError` where podman is not installed."""
    return Podman(engines.find("podman", place.environment), place)


class Podman:
    """Podman as root, or as anybody."""

    name: Final = "podman"
    caged: Final = False
    warnings: Final = ()

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine: Final = engine
        self._root: Final = os.geteuid() == 0
        self._build: Final = Builder(engine, place, (UID, UID), recursive=not self._root)
        # Without root it makes no groups of its own: where systemd makes none for it, it would take the limits and not hold them.
        self._scopes: Final = None if self._root else managed()
        self._unheld: Final = () if self._scopes is None else tuple(sorted(CONTROLLERS.keys() - self._scopes.holds))

    @property
    def programs(self) -> tuple[str, ...] | None:
        """See :class:`~outward.backends.protocol.Backend`, as for all of these."""
        return self._build.programs

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """All of those for which a control group is needed, where there is none."""
        if self._scopes is None:
            return self._build.shortfalls(())
        reason, remedy = f"podman without root cannot enforce it: {self._scopes.reason}", self._scopes.remedy
        return self._build.shortfalls(Shortfall(name, reason, remedy) for name in self._unheld)

    def probe(self) -> Capabilities:
        """Asks podman for its storage, which it sets up when it is asked."""
        version = self._engine.ask("info", "--format", "{{.Version.Version}} ({{.Host.OCIRuntime.Name}})")
        return Capabilities(f"podman {version}", ("rootful",) if self._root else ("rootless",))

    def system(self, empties: Empties, home: str) -> Iterable[Operation]:
        """The host's programs or the image's."""
        return self._build.system(empties, home)

    def describe(self, launch: Launch) -> Iterator[str]:
        """The line that confines."""
        for word in (*self._mapped(), *self._build.confined(launch, "SESSION", unheld=self._unheld)):
            yield f"{'podman':<11}{word}"

    @contextmanager
    def launch(self, spec: Spec) -> Iterator[Container]:
        """See :class:`~outward.backends.protocol.Backend`."""
        name = line.name(spec.session)
        with ExitStack() as stack:
            reaper = stack.enter_context(self._build.accounted(spec.session, (name,)))
            image = self._image(stack, reaper)
            self._create(name, spec, image, stack)
            self._init(name, spec.layer)
            numbers = self._engine.ask("inspect", "--format", "{{.State.Pid}} {{.State.ConmonPid}}", name)
            process, monitor = map(int, numbers.split())
            anchor = anchored(process, lambda: name in words_of(monitor) and process in kernel.children(monitor), stack)
            self._verify(process)
            sockets = enter(Path(f"/proc/{process}/ns/net"))
            stack.callback(sockets.close)
            client = stack.enter_context(
                Child(
                    [self._engine.path, "start", "--attach", "--interactive", "--sig-proxy=false", name],
                    self._engine.environment,
                    spec.stdio,
                    terminal=spec.launch.terminal,
                )
            )
            sandbox = Container(client, sockets, lambda: _started(process), anchor)
            try:
                yield sandbox
            finally:
                sandbox.kill()
                client.wait()  # it ends with its container

    def _create(self, name: str, spec: Spec, image: str | None, stack: ExitStack) -> None:
        _, variables = self._build.environment(spec.launch, stack)
        described = tuple(self._described(name, spec, image))
        self._engine.ask("create", *described, stdin=variables)
        if _mixed() and self._engine.ask("inspect", "--format", "{{.OCIRuntime}}", name).endswith("crun"):
            if programs.installed("runc") is None:
                raise HostError(_ONLY_CRUN, hint=_INSTEAD)
            self._engine.ask(*self._engine.removal([name]))
            self._engine.ask("--runtime=runc", "create", *described, stdin=variables)

    def _described(self, name: str, spec: Spec, image: str | None) -> Iterator[str]:
        """The container. Its variables are read from standard input."""
        launch = spec.launch
        found = self._build.mounts(launch.operations)
        init, *arguments = (*_INIT, *launch.command)
        yield f"--name={name}"
        yield from (*self._mapped(), *self._build.confined(launch, spec.session, unheld=self._unheld))
        yield from (*line.networked("none"), line.processes(), "--no-hosts")
        # Root outside is somebody inside, and may read what is root's.
        yield f"--security-opt=mask={':'.join(system.roots_own())}"
        yield from ("--read-only-tmpfs=false", "--env-file=/dev/stdin", *(["--tty"] if launch.terminal else []))
        yield from self._build.mount_arguments(found)
        yield f"--entrypoint={init}"
        if image is None:
            yield from ("--rootfs", str(self._build.directory(self._build.tree(launch.operations, found))))
        else:
            yield from ("--rootfs", f"{image}:O") if self._root else (image,)
        yield from arguments

    def _init(self, name: str, layer: Layer | None) -> None:
        """Builds the container's file system, and stops short of starting the command. What is mounted is mounted now."""
        inside = () if self._root else (self._engine.path, "unshare")
        self._engine.ask("init", name, before=() if layer is None else (*inside, *layered.prefix(layer)))

    def _verify(self, process: int) -> None:
        """Podman is set up by its user, and one that is told to do without groups says nothing of limits."""
        if missing := lacking(process, self._build.limits.without(self._unheld)):
            raise HostError(
                f"podman does not hold the container to its limits: {', '.join(missing)}",
                hint="Look at cgroup_manager and cgroups in containers.conf; without `sandbox.limits` in the policy it starts.",
            )

    def _image(self, stack: ExitStack, reaper: Reaper) -> str | None:
        """The image, if there is one; for root where it is mounted."""
        image = self._build.image
        if image is None or not self._root:
            return image
        # Kernels refuse root's storage under our mapping of users; what is mounted already they do not ask about.
        mounted = self._engine.ask("image", "mount", image)
        unmount = ("image", "unmount", image)
        reaper.also(*unmount)
        stack.callback(self._engine.ask, *unmount)
        return mounted

    def _mapped(self) -> list[str]:
        if not self._root:
            return [f"--userns=keep-id:uid={UID},gid={UID}"]
        return [
            f"--{kind}map={inside}:{outside}:{count}"
            for kind, own in zip(("uid", "gid"), line.caller(), strict=True)
            for inside, outside, count in ((UID, own, 1), (0, _OTHERS, UID), (UID + 1, _OTHERS + UID, 65536 - UID - 1))
        ]


def _mixed() -> bool:
    """Whether control groups of version 2 hold controllers while others are those of version 1."""
    try:
        return _BESIDE.read_text().strip() != ""
    except OSError:
        return False


def _started(process: int) -> int | None:
    """The container's first process once it is the command's: it leads a process group with the command in it."""
    return process if kernel.children(process) else None
