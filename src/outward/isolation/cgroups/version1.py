"""Groups of version 1: a hierarchy for each controller, and only root may make groups (kernel: cgroup-v1)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.isolation.cgroups.groups import CONTROLLERS, group, own_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from outward.core import Limits
    from outward.isolation.cgroups.mounts import Mount

_PERIOD: Final = 100_000  # microseconds
_LEAST: Final = 1_000


class Version1(NamedTuple):
    """``directories`` are those in which groups can be made, by limit."""

    directories: Mapping[str, Path]

    @property
    def holds(self) -> frozenset[str]:
        """The limits whose controllers we may use."""
        return frozenset(self.directories)

    @property
    def reason(self) -> str:
        """Why not the others."""
        return "control groups of version 1 are for root only, if their controller is there at all"

    @property
    def remedy(self) -> str:
        """What would help."""
        return "Use a system with control groups of version 2 (systemd.unified_cgroup_hierarchy=1), or run as root."

    def group(self, limits: Limits) -> AbstractContextManager[Callable[[int], None]]:
        """See :class:`~outward.isolation.cgroups.place.Place`."""
        settings: dict[Path, dict[str, str]] = {}
        for limit, name, value in _settings(limits):
            if limit in self.directories:
                settings.setdefault(self.directories[limit] / own_name(), {})[name] = value
        return group(settings)

    def describe(self) -> str:
        """For people."""
        return f"version 1, for {', '.join(sorted(self.holds)) or 'nothing'}"


def find(controllers: Mapping[str, Mount]) -> Version1:
    """What there is for us."""
    owned = {limit: Path(controllers[name].own) for limit, name in CONTROLLERS.items() if name in controllers}
    return Version1({limit: own for limit, own in owned.items() if os.access(own, os.W_OK)})


def _settings(limits: Limits) -> Iterator[tuple[str, str, str]]:
    if limits.memory is not None:
        yield "memory", "memory.limit_in_bytes", str(limits.memory)
        yield "memory", "memory.memsw.limit_in_bytes", str(limits.memory)  # with swap, the same: no swap for it
    if limits.cpus is not None:
        yield "cpus", "cpu.cfs_period_us", str(_PERIOD)
        yield "cpus", "cpu.cfs_quota_us", str(max(_LEAST, int(limits.cpus * _PERIOD)))
    if limits.pids is not None:
        yield "pids", "pids.max", str(limits.pids)
