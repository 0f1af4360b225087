"""What groups that somebody else has made hold a process to (kernel: cgroup-v2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.isolation.cgroups.groups import CONTROLLERS, words
from outward.isolation.cgroups.mounts import Mounts

if TYPE_CHECKING:
    from outward.core import Limits

_HUNDREDTH: Final = 0.01
"""Of a processor: engines that ask systemd round up to whole ones."""


def lacking(process: int, limits: Limits, mounts: Mounts | None = None) -> list[str]:
    """Those of ``limits`` that no group of the process holds it to, neither its own nor one above.

    Only version 2 is looked at: of a controller that version 1 has, nothing is ever missing.
    """
    mounts = mounts or Mounts.read()
    if mounts.unified is None:
        return []
    top = Path(mounts.unified.point)
    there = words(top / "cgroup.controllers")
    own = _own(process)
    groups = [] if own is None else [top / own, *(top / parent for parent in Path(own).parents)]
    missing = []
    for limit, controller in CONTROLLERS.items():
        most = getattr(limits, limit)
        if most is not None and controller in there:
            most += _HUNDREDTH if limit == "cpus" else 0
            if not any(_holds(words(group / f"{controller}.max"), most) for group in groups):
                missing.append(limit)
    return missing


def _own(process: int) -> str | None:
    try:
        lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
    except OSError:  # it has ended
        return None
    return next((line[3:].lstrip("/") for line in lines if line.startswith("0::")), None)


def _holds(said: list[str], most: float) -> bool:
    """One number, or a quota and the period that it is for. ``max`` is none, and so is a file that is not there."""
    if not said or said[0] == "max":
        return False
    number, per = int(said[0]), int(said[1]) if len(said) > 1 else 1
    return number <= most * per
