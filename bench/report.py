"""Medians over the rounds, as a table for people."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.trial import Trial

BEGIN: Final = "<!-- bench: begin -->"
END: Final = "<!-- bench: end -->"
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


def table(trials: Sequence[Trial], contenders: Mapping[str, str], heading: str) -> str:
    """Markdown. ``contenders`` maps each name to why it was not measured, or to nothing."""
    medians = Medians(trials)
    lines = [heading, "", _line(["", *_COLUMNS, f"{_REFERENCE} is"]), _line(["---", *["---:"] * (len(_COLUMNS) + 1)])]
    reference = medians.of(_REFERENCE, "busy", rate)
    for name, missing in contenders.items():
        if missing:
            lines.append(_line([name, f"not measured: {missing}", *[""] * len(_COLUMNS)]))
            continue
        cells = [
            "" if name == _STRAIGHT and column not in _OF_ALL else _number(value(medians, name))
            for column, value in _COLUMNS.items()
        ]
        own = medians.of(name, "busy", rate)
        ratio = f"{reference / own:.2f}×" if reference and own else ""
        lines.append(_line([name, *cells, ratio]))
    failed = {name: medians.errors(name) for name in contenders if medians.errors(name)}
    if failed:
        counts = ", ".join(f"{name} {count}" for name, count in failed.items())
        lines += ["", f"Failed requests (trials with any are left out): {counts}."]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"


def write(table_text: str, document: Path) -> None:
    """Puts the table between the markers of a document."""
    text = document.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no place for the table")
    document.write_text(f"{head}{BEGIN}\n{table_text}\n{END}{tail}")
