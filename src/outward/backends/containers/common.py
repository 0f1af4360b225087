"""What the two engines have in common."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.backends.containers import line, root
from outward.backends.containers.mounts import mounts, tree
from outward.backends.containers.reaper import reaping
from outward.backends.containers.remains import Remains
from outward.core import HostError
from outward.isolation import seccomp_oci, system
from outward.isolation.contents import Contents
from outward.isolation.limits import DISK
from outward.isolation.operations import Bind, Directory, Fresh

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import ExitStack

    from outward.backends.containers.engine import Engine
    from outward.backends.containers.mounts import Entry, Mount
    from outward.backends.containers.reaper import Reaper
    from outward.backends.protocol import Place
    from outward.core import Shortfall
    from outward.isolation.launch import Launch
    from outward.isolation.operations import Operation
    from outward.isolation.system import Empties

SHELL: Final = "/bin/sh"


class Builder:
    """Makes what a container is given. ``user`` is who the command is inside; ``recursive`` as in :meth:`Mount.arguments`."""

    def __init__(self, engine: Engine, place: Place, user: tuple[int, int], *, recursive: bool) -> None:
        self.engine: Final = engine
        self.image: Final = place.image
        self.limits: Final = place.limits
        self.user: Final = user
        self._recursive: Final = recursive
        self._state: Final = place.state / "containers"
        self._stages: Final = self._state / "stages"
        self._contents: Final = Contents(self._state / "files")

    @contextmanager
    def accounted(self, session: str, names: Sequence[str]) -> Iterator[Reaper]:
        """The containers ``names`` of ``session`` are removed, whoever ends first. What others could not remove is removed now.

        Forks, as in :func:`~outward.backends.containers.reaper.reaping`.
        """
        remains = Remains(self.engine, self._state / "sessions", self._stages)
        remains.sweep()
        with remains.noted(session), reaping(self.engine, names, self.stage(session)) as reaper:
            yield reaper

    def stage(self, session: str) -> Path:
        """Where a stage may be (see :mod:`.stage`), which goes with the containers."""
        return self._stages / session

    @property
    def in_memory(self) -> int | None:
        """Octets that each directory in memory may hold."""
        given = (self.limits.disk, self.limits.memory)
        return min((size for size in given if size is not None), default=None)

    @property
    def programs(self) -> tuple[str, ...] | None:
        """See :class:`~outward.backends.protocol.Backend`."""
        return system.VISIBLE if self.image is None else None

    def system(self, empties: Empties, home: str) -> Iterator[Operation]:
        """The host's programs or the image's; the rest is ours."""
        if self.image is None:
            yield from system.programs(empties)
            yield Fresh("/var", size=self.in_memory)
        yield from system.own_files(*self.user)
        for path, empty in zip(system.NOTHING, (empties.file, empties.directory), strict=True):
            yield Bind(empty, path)
        yield Fresh("/tmp", size=self.in_memory)  # noqa: S108 (the sandbox's own, as below)
        yield Fresh("/run", size=self.in_memory)
        yield Directory("/var/tmp")  # noqa: S108
        yield Bind(home, system.HOME, writable=True)

    def mounts(self, operations: Iterable[Operation]) -> list[Mount]:
        """The mounts, without what may be missing and is; files of ours are written to the state directory."""
        return mounts(filter(_there, operations), self._contents.hold)

    def mount_arguments(self, found: Iterable[Mount]) -> list[str]:
        """They, for the engine."""
        flagged = self.engine.name == "podman"
        return [word for mount in found for word in mount.arguments(recursive=self._recursive, flagged=flagged)]

    def tree(self, operations: Iterable[Operation], found: Iterable[Mount]) -> tuple[Entry, ...]:
        """What a root directory without an image holds."""
        return tree(operations, found, lambda path: Path(path).is_dir())

    def directory(self, entries: Iterable[Entry]) -> Path:
        """That root directory."""
        return root.make(entries, self._state / "roots")

    def confined(self, launch: Launch, session: str, *, unheld: Iterable[str] = ()) -> list[str]:
        """The hardened line and the limits, but for those that the engine would not hold."""
        profile = self._contents.hold(json.dumps(seccomp_oci.profile(launch.seccomp)).encode())
        shared = [] if self.in_memory is None else [f"--shm-size={self.in_memory}"]
        user = ":".join(map(str, self.user))
        return [
            *line.confined(session, profile, user),
            *line.limited(self.limits.without(unheld)),
            *shared,
            f"--workdir={launch.directory}",
        ]

    def environment(self, launch: Launch, stack: ExitStack) -> tuple[list[str], int]:
        """Arguments for the environment, and the descriptor that they speak of: values are not for the process table."""
        for name, value in launch.environment.items():
            if "\n" in value or "\0" in value:
                raise HostError(
                    f"the variable {name} has several lines, which {self.engine.name} cannot be given",
                    hint="Put the text into a file of the workspace, or use --backend bubblewrap.",
                )
        descriptor = os.memfd_create("outward")
        stack.callback(os.close, descriptor)
        os.write(descriptor, "".join(f"{name}={value}\n" for name, value in launch.environment.items()).encode())
        return [f"--env-file=/proc/self/fd/{descriptor}"], descriptor

    def shortfalls(self, missing: Iterable[Shortfall]) -> tuple[Shortfall, ...]:
        """``missing`` of the limits that are asked for, and what is known of the disk."""
        asked = [each for each in missing if getattr(self.limits, each.limit) is not None]
        return (*asked, *([DISK] if self.limits.disk is not None else []))


def _there(operation: Operation) -> bool:
    return not (isinstance(operation, Bind) and operation.missing)
