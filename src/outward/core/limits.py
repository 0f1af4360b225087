"""What a sandbox may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Limits(NamedTuple):
    """What a sandbox may use; ``None`` for no limit of our own.

    ``memory`` is in octets, for all its processes together and what they keep in directories in memory. ``cpus`` are
    processors' worth of time. ``pids`` counts processes and threads. ``files`` are open files, for each process. ``disk`` is in
    octets, for what it writes. ``time`` is in seconds, from its start.
    """

    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    files: int | None = None
    disk: int | None = None
    time: float | None = None

    def without(self, names: Iterable[str]) -> Self:
        """The same, but for those of ``names``, which are no limits then."""
        return self._replace(**dict.fromkeys(names))


class Shortfall(NamedTuple):
    """A limit that cannot be held as it was meant: which, what holds instead and why, and what would help."""

    limit: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"limit on {self.limit}: {self.reason}. {self.remedy}"
