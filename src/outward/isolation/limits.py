"""How limits are held for processes that we start ourselves.

Memory, processors and the number of processes are for all of a sandbox together: a control group holds them. The rest are
limits of each process (setrlimit(2)), the sizes of file systems in memory, and a clock.
"""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from outward.core import HostError, Shortfall
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outward.core import Limits
    from outward.isolation.cgroups import Place

_COUNTED_BY_NAMESPACE: Final = (5, 14)
"""The first Linux that counts RLIMIT_NPROC for each user namespace by itself; before, a sandbox had to share it with its user."""


DISK: Final = Shortfall(
    "disk",
    "holds for each file, /tmp, /var, /run and /dev/shm, but not for the workspace and the agent's home as a whole",
    "A file system of that size, or with a quota, holds those.",
)


class Holding(NamedTuple):
    """How ``limits`` are held on this machine. ``shortfalls`` are those that are not, or not as they are meant.

    ``place`` makes the control group, if it takes one.
    """

    limits: Limits
    place: Place | None
    shortfalls: tuple[Shortfall, ...]
    root: bool

    @property
    def in_memory(self) -> int | None:
        """Octets that each directory in memory may hold."""
        return min((size for size in (self.limits.disk, self.limits.memory) if size is not None), default=None)

    @contextmanager
    def open(self) -> Iterator[Callable[[int], None]]:
        """Gives what holds a process, and all that it starts from then on, to the limits.

        The process must be alone in a user namespace of its own; the context ends after its end. Both raise
        :class:`HostError` where that fails.
        """
        if self.place is None:
            yield self._limit
            return
        with self.place.group(self.limits) as take:

            def hold(pid: int) -> None:
                take(pid)
                self._limit(pid)

            yield hold

    def _limit(self, pid: int) -> None:
        for number, value in self._of_each_process().items():
            try:
                _, most = resource.prlimit(pid, number)
                least = value if most == resource.RLIM_INFINITY else min(value, most)
                resource.prlimit(pid, number, (least, least))
            except OSError as error:
                raise HostError(f"the sandbox's processes cannot be limited: {error.strerror}") from error

    def _of_each_process(self) -> dict[int, int]:
        limits, numbers = self.limits, {}
        if limits.files is not None:
            numbers[resource.RLIMIT_NOFILE] = limits.files
        if limits.disk is not None:
            numbers[resource.RLIMIT_FSIZE] = limits.disk
        if limits.pids is not None and not self.root and _namespaces_count():
            numbers[resource.RLIMIT_NPROC] = limits.pids
        if limits.memory is not None and self.place is not None and "memory" not in self.place.holds:
            numbers[resource.RLIMIT_DATA] = limits.memory
        return numbers


def plan(limits: Limits, place: Place | None = None, *, root: bool | None = None) -> Holding:
    """How ``limits`` would be held here. ``place`` is where control groups can be made, ``root`` whether we are root."""
    root = os.geteuid() == 0 if root is None else root
    in_groups = {name for name in ("memory", "cpus", "pids") if getattr(limits, name) is not None}
    shortfalls: list[Shortfall] = []
    if not in_groups:
        place = None
    else:
        from outward.isolation.cgroups import survey  # here: starts must be quick, and most have no such limits

        place = place or survey()
        shortfalls += _of_groups(in_groups - place.holds, place, root=root)
    if limits.disk is not None:
        shortfalls.append(DISK)
    return Holding(limits, place, tuple(shortfalls), root)


def _of_groups(missing: set[str], place: Place, *, root: bool) -> Iterator[Shortfall]:
    if "memory" in missing:
        reason = f"holds for each process, but not for all together: {place.reason}"
        yield Shortfall("memory", reason, place.remedy)
    if "cpus" in missing:
        yield Shortfall("cpus", f"not enforced: {place.reason}", place.remedy)
    # Root is exempt from the number of processes that a user may have, also as another user of its own namespace.
    if "pids" in missing and (root or not _namespaces_count()):
        yield Shortfall("pids", f"not enforced: {place.reason}", place.remedy)


def _namespaces_count() -> bool:
    major, minor, *_ = os.uname().release.split(".")
    return (int(major), int("".join(filter(str.isdigit, minor)) or 0)) >= _COUNTED_BY_NAMESPACE
