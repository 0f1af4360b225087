"""Medians over the rounds, as a table for people."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.trial import Trial

_REFERENCE: Final = "Outward"
_STRAIGHT: Final = "direct"


class Medians:
    """The medians of all trials, by contender and mode."""

    def __init__(self, trials: Iterable[Trial]) -> None:
        self._trials: Final[dict[tuple[str, str], list[Trial]]] = {}
        for trial in trials:
            self._trials.setdefault((trial.contender, trial.mode), []).append(trial)

    def of(self, contender: str, mode: str, figure: Callable[[Trial], float]) -> float | None:
        """The median of a figure; nothing if there was no good trial."""
        values = [
            figure(trial) for trial in self._trials.get((contender, mode), ()) if trial.answers and not trial.errors
        ]
        return median(values) if values else None

    def errors(self, contender: str) -> int:
        """Failed requests in all trials of a contender."""
        return sum(trial.errors for (name, _), trials in self._trials.items() if name == contender for trial in trials)


def rate(trial: Trial) -> float:
    """Answers a second."""
    return trial.answers / trial.seconds


def cost(trial: Trial) -> float:
    """Microseconds of the proxy's processor time an answer."""
    return trial.cpu_s / trial.answers * 1e6


def speed(trial: Trial) -> float:
    """Megabytes (10⁶) a second."""
    return trial.octets / trial.seconds / 1e6


def _over_direct(medians: Medians, contender: str, figure: Callable[[Trial], float]) -> float | None:
    through, straight = medians.of(contender, "single", figure), medians.of(_STRAIGHT, "single", figure)
    return None if through is None or straight is None else through - straight


_COLUMNS: Final[dict[str, Callable[[Medians, str], float | None]]] = {
    # What the table shows of each contender.
    "requests/s": lambda m, c: m.of(c, "busy", rate),
    "CPU µs/request": lambda m, c: m.of(c, "busy", cost),
    "new connections/s": lambda m, c: m.of(c, "new", rate),
    "CPU µs/connection": lambda m, c: m.of(c, "new", cost),
    "added p50 µs": lambda m, c: _over_direct(m, c, lambda trial: trial.p50_us),
    "added p99 µs": lambda m, c: _over_direct(m, c, lambda trial: trial.p99_us),
    "1 GiB, MB/s": lambda m, c: m.of(c, "download", speed),
    "1 GiB, CPU s": lambda m, c: m.of(c, "download", lambda trial: trial.cpu_s),
    "RSS MiB": lambda m, c: m.of(c, "busy", lambda trial: trial.resident_mb),
    "peak MiB": lambda m, c: m.of(c, "download", lambda trial: trial.peak_mb),
}
_OF_ALL: Final = {"requests/s", "new connections/s", "1 GiB, MB/s"}
"""The columns that make sense without a proxy, too."""


def table(trials: Sequence[Trial], contenders: Mapping[str, str]) -> str:
    """Markdown. ``contenders`` maps each name to why it was not measured, or to nothing."""
    medians = Medians(trials)
    rows = []
    reference = medians.of(_REFERENCE, "busy", rate)
    for name, missing in contenders.items():
        if missing:
            rows.append([name, f"not measured: {missing}", *[""] * len(_COLUMNS)])
            continue
        cells = [
            "" if name == _STRAIGHT and column not in _OF_ALL else number(value(medians, name))
            for column, value in _COLUMNS.items()
        ]
        own = medians.of(name, "busy", rate)
        ratio = f"{reference / own:.2f}×" if reference and own else ""
        rows.append([name, *cells, ratio])
    lines = [markdown(["", *_COLUMNS, f"{_REFERENCE} is"], rows)]
    failed = {name: medians.errors(name) for name in contenders if medians.errors(name)}
    if failed:
        counts = ", ".join(f"{name} {count}" for name, count in failed.items())
        lines += ["", f"Failed requests (trials with any are left out): {counts}."]
    return "\n".join(lines)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float | None, digits: int = 2) -> str:
    """For people: thousands are set apart, and what is 10 or more has no fraction."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.{digits}f}"


def ratio(value: float | None) -> str:
    """``1.70×``."""
    return "–" if value is None else f"{value:.2f}×"


def write(part: str, text: str, document: Path) -> None:
    """Puts the text of a part between its markers in a document."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    whole = document.read_text()
    head, found, rest = whole.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no place for {part}")
    document.write_text(f"{head}{begin}\n{text}\n{end}{tail}")
