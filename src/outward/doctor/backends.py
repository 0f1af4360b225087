"""Which backends work: the proof is a command that ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.backends import Capabilities, Place, find
from outward.backends.microvm import accelerated
from outward.core import HostError
from outward.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from outward.doctor.trial import Trials

PATIENCE: Final = 120.0
"""Seconds; a virtual machine without hardware for it takes a few."""

_VARIED: Final = frozenset({"docker"})
"""Those that may have variants and remarks; to ask the others takes as long as the trial."""

_OTHERWISE: Final = "`outward run --backend {name} -- true` says the same; what it needs is in docs/backends."
_NOTHING_ALLOWED: Final = "version: 1\n"


def try_backends(names: Iterable[str], trials: Trials, watch: Callable[[str], None]) -> Iterator[Finding]:
    """Tries each. ``watch`` is told which is being tried."""
    for name in names:
        watch(name)
        finding = _try(name, (), trials)
        if not finding.good or name not in _VARIED:
            yield finding
            continue
        offered = _offered(name, trials)
        yield finding._replace(found=", ".join((finding.found, *offered.remarks)))
        for options in offered.variants:
            yield _try(name, options, trials)


def _try(name: str, options: tuple[str, ...], trials: Trials) -> Finding:
    words = " ".join((name, *options))
    trial = trials.run(_NOTHING_ALLOWED, ["true"], backend=name, options=options, seconds=PATIENCE)
    if trial.status == 0:
        return Finding(words, good=True, found=f"works{_how(name, trials.state)}")
    found, remedy = trial.complaint
    return Finding(words, False, found, remedy or _OTHERWISE.format(name=words))


def _offered(name: str, trials: Trials) -> Capabilities:
    try:
        return find(name, Place(trials.state, trials.environment, workspace=trials.workspace)).probe()
    except HostError:  # it has worked a moment ago: what goes wrong now is not about variants
        return Capabilities(name)


def _how(name: str, state: Path) -> str:
    """What has just been found out on the way."""
    known = accelerated(state) if name == "microvm" else None
    return "" if known is None else f", {known}"
