"""Which backends work: the proof is a command that ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.backends.microvm import accelerated
from outward.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from outward.doctor.trial import Trials

PATIENCE: Final = 120.0
"""Seconds; a virtual machine without hardware for it takes a few."""

_OTHERWISE: Final = "`outward run --backend {name} -- true` says the same; what it needs is in docs/backends."
_NOTHING_ALLOWED: Final = "version: 1\n"


def try_backends(names: Iterable[str], trials: Trials, watch: Callable[[str], None]) -> Iterator[Finding]:
    """Tries each. ``watch`` is told which is being tried."""
    for name in names:
        watch(name)
        trial = trials.run(_NOTHING_ALLOWED, ["true"], backend=name, seconds=PATIENCE)
        if trial.status == 0:
            yield Finding(name, good=True, found=f"works{_how(name, trials.state)}")
        else:
            found, remedy = trial.complaint
            yield Finding(name, False, found, remedy or _OTHERWISE.format(name=name))


def _how(name: str, state: Path) -> str:
    """What has just been found out on the way."""
    known = accelerated(state) if name == "microvm" else None
    return "" if known is None else f", {known}"
