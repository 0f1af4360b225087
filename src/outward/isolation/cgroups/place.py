"""Where groups can be made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from outward.isolation.cgroups import systemd, version1, version2
from outward.isolation.cgroups.groups import CONTROLLERS
from outward.isolation.cgroups.mounts import Mounts
from outward.isolation.cgroups.nowhere import Nowhere

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from outward.core import Limits

_UNMANAGED: Final = Nowhere(
    "systemd does not manage control groups of version 2 here",
    "Boot with systemd.unified_cgroup_hierarchy=1, or run as root.",
)


class Place(Protocol):
    """One way to make groups."""

    @property
    def holds(self) -> frozenset[str]:
        """The limits that groups made here can hold."""

    @property
    def reason(self) -> str:
        """Why they cannot hold the others."""

    @property
    def remedy(self) -> str:
        """What would help."""

    def group(self, limits: Limits) -> AbstractContextManager[Callable[[int], None]]:
        """A group with what is held of ``limits``, until the end of the context, which comes after the end of its processes.

        Gives what puts a process, and all that it will start, into the group. Both raise
        :class:`~outward.core.HostError` where that fails: nothing runs with less than was said.
        """

    def describe(self) -> str:
        """For people."""


def survey(mounts: Mounts | None = None) -> Place:
    """The best place of this machine."""
    mounts = mounts or Mounts.read()
    places: list[Place] = []
    if mounts.unified is not None and (manager := systemd.find(Path(mounts.unified.point))) is not None:
        places.append(manager)
    if CONTROLLERS.values() & mounts.controllers.keys():  # then version 2 has not got these
        places.append(version1.find(mounts.controllers))
    if mounts.unified is not None:
        places.append(version2.find(mounts.unified))
    if not places:
        return Nowhere("no control groups are mounted", "Mount them: mount -t cgroup2 none /sys/fs/cgroup")
    return max(places, key=lambda place: len(place.holds))  # the first of equals


def managed(mounts: Mounts | None = None) -> Place:
    """systemd's manager for us, or why there is none: for engines that have a group made in no other way."""
    unified = (mounts or Mounts.read()).unified
    return (None if unified is None else systemd.find(Path(unified.point))) or _UNMANAGED
