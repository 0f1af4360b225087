"""The lines at the end of ``outward run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core.display import counted, printable

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from outward.core import Refusal
    from outward.core.summary import Summary

MAX_REFUSALS: Final = 10

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


def closing_lines(summary: Summary, session: str) -> Iterator[str]:
    """What happened, what was refused and how to allow it, where to read more."""
    totals = [
        counted(summary.requests, "request"),
        f"{_size(summary.bytes_in)} sent",
        f"{_size(summary.bytes_out)} received",
    ]
    for what, counter in (("refused", summary.refused), ("failed", summary.failed)):
        if counter or what == "refused":
            totals.append(f"{sum(counter.values())} {what}")
    yield ", ".join(totals)
    yield from _listed("refused", summary.refused)
    yield from _listed("failed", summary.failed)
    yield f"all of it: outward log --session {session}"


def aside_lines(aside: Mapping[str, str]) -> Iterator[str]:
    """What the agent made that would take effect outside."""
    if not aside:
        return
    yield "what is new and would take effect outside of the sandbox was renamed:"
    for path, name in list(aside.items())[:MAX_REFUSALS]:
        yield f"  {printable(path)}: now {printable(name)}"
    if len(aside) > MAX_REFUSALS:
        yield f"  and {len(aside) - MAX_REFUSALS} more (*.set-aside)"


def _listed(what: str, counter: Counter[Refusal]) -> Iterator[str]:
    for refusal, count in counter.most_common(MAX_REFUSALS):
        times = f" ({count} times)" if count > 1 else ""
        request = f"{refusal.method} {refusal.authority}{refusal.path}"
        yield f"  {what} {printable(request)}: {refusal.code}{times}"
        if refusal.allow_command:
            yield f"    to allow it: {refusal.allow_command}"
    if len(counter) > MAX_REFUSALS:
        yield f"  and {len(counter) - MAX_REFUSALS} more"


def _size(octets: int) -> str:
    size, unit = float(octets), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 10 else f"{size:.1f} {_UNITS[unit]}"
