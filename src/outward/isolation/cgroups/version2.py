"""Groups of version 2: one hierarchy, of which a part may be delegated to us (kernel: cgroup-v2, "Delegation")."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.isolation.cgroups.groups import CONTROLLERS, group, own_name, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from outward.core import Limits
    from outward.isolation.cgroups.mounts import Mount

_PERIOD: Final = 100_000  # microseconds
_LEAST: Final = 1_000


class Version2(NamedTuple):
    """``parent`` is where groups can be made, ``holds`` what they can hold; ``enable`` are controllers to be passed on first."""

    parent: Path | None
    holds: frozenset[str] = frozenset()
    enable: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why not the others."""
        return "no control group with these controllers is delegated to us"

    @property
    def remedy(self) -> str:
        """What would help."""
        return "In a container, mount control groups writable; elsewhere, run as root."

    def group(self, limits: Limits) -> AbstractContextManager[Callable[[int], None]]:
        """See :class:`~outward.isolation.cgroups.place.Place`."""
        if self.parent is None:
            return group({})
        if self.enable:
            file = self.parent / "cgroup.subtree_control"
            try:
                file.write_text(" ".join(f"+{name}" for name in self.enable))
            except OSError as error:
                raise HostError(
                    f"{file} cannot be written: {error.strerror}",
                    hint="Leave `sandbox.limits` out of the policy, or run where control groups may be made.",
                ) from error
        wanted = {name: value for limit, name, value in _settings(limits) if limit in self.holds}
        return group({self.parent / own_name(): wanted})

    def describe(self) -> str:
        """For people."""
        return f"version 2, for {', '.join(sorted(self.holds)) or 'nothing'}"


def find(mount: Mount) -> Version2:
    """The nearest directory, from our own group upwards, where most of the limits can be held."""
    best = Version2(None)
    top = Path(mount.point)
    for directory in (Path(mount.own), *Path(mount.own).parents):
        if not directory.is_relative_to(top):
            break
        if len((found := _look(directory)).holds) > len(best.holds):
            best = found
    return best


def _look(directory: Path) -> Version2:
    """What a group made in ``directory`` could hold. To move a process there takes the right to write both files."""
    files = ("cgroup.procs", "cgroup.subtree_control")
    if not all(os.access(path, os.W_OK) for path in (directory, *(directory / name for name in files))):
        return Version2(None)
    passed_on = {*words(directory / "cgroup.subtree_control")}
    usable = passed_on
    # Only a group without processes of its own, or the topmost, passes controllers on ("no internal processes").
    if not (directory / "cgroup.type").exists() or not words(directory / "cgroup.procs"):
        usable = passed_on.union(words(directory / "cgroup.controllers"))
    holds = frozenset(limit for limit, name in CONTROLLERS.items() if name in usable)
    return Version2(directory, holds, tuple(sorted({CONTROLLERS[limit] for limit in holds} - passed_on)))


def _settings(limits: Limits) -> Iterator[tuple[str, str, str]]:
    if limits.memory is not None:
        yield "memory", "memory.max", str(limits.memory)
        yield "memory", "memory.swap.max", "0"
    if limits.cpus is not None:
        yield "cpus", "cpu.max", f"{max(_LEAST, int(limits.cpus * _PERIOD))} {_PERIOD}"
    if limits.pids is not None:
        yield "pids", "pids.max", str(limits.pids)
