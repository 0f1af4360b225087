"""A thousand answers at once that do not end, one event a second each: what is added to an event, what a stream takes."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from bench import check, report, trial
from bench.contenders import direct, envoy, outward
from bench.suite.part import MAX_ROUNDS, Findings, Part, Settings, in_turns, say
from bench.upstream import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.trial import Streams
    from bench.upstream import Upstream

STREAMS: Final = 1000
SECONDS: Final = 8.0

_CONTENDERS: Final = (direct.CONTENDER, outward.CONTENDER, envoy.CONTENDER)


def _measure(settings: Settings) -> Findings:
    with serving() as upstream:
        return _measure_at(settings, upstream)


def _measure_at(settings: Settings, upstream: Upstream) -> Findings:
    contenders = {one.name: one for one in _CONTENDERS if settings.wants(one.name) and not one.missing()}
    found: list[Streams] = []
    for number, name in in_turns(list(contenders), min(settings.rounds, MAX_ROUNDS)):
        # A new process each time: memory that the last round's streams left behind would be found free by the next.
        with contenders[name].open(upstream) as route:
            if fault := check.check(route, upstream):
                raise RuntimeError(f"{name}: {fault}")
            trial.listen(name, route, upstream, 8, 1)  # what the first streams bring is not for each of them
            one = trial.listen(name, route, upstream, STREAMS, SECONDS)
        found.append(one)
        say(
            f"streams, round {number + 1}: {name:18} gap p99 {one.gap_p99_us / 1e3:8.2f} ms  under way p99 "
            f"{one.p99_us / 1e3:6.2f} ms  {_kib_per_stream(one):5.0f} KiB a stream  {'' if one.sound else 'NOT SOUND'}"
        )
    return Findings(_table(found, list(contenders)), [one.to_json() for one in found], {})


def _kib_per_stream(one: Streams) -> float:
    return (one.resident_mb - one.idle_mb) * 1024 / one.streams


def _table(found: list[Streams], names: list[str]) -> str:
    def of(name: str, figure: Callable[[Streams], float]) -> float | None:
        values = [figure(one) for one in found if one.contender == name and one.sound]
        return median(values) if values else None

    def added(name: str, figure: Callable[[Streams], float]) -> float | None:
        through, straight = of(name, figure), of(direct.CONTENDER.name, figure)
        return None if through is None or straight is None else (through - straight) / 1e3

    rows = [
        [
            name,
            report.number(added(name, lambda one: one.gap_p99_us)),
            report.number(added(name, lambda one: one.p50_us)),
            report.number(added(name, lambda one: one.p99_us)),
            report.number(of(name, _kib_per_stream)),
            report.number(of(name, lambda one: one.cpu_s / one.answers * 1e6)),
        ]
        for name in names
        if name != direct.CONTENDER.name
    ]
    columns = [
        "",
        "between events, p99, ms",
        "under way, p50, ms",
        "under way, p99, ms",
        "KiB a stream",
        "CPU µs/event",
    ]
    text = report.markdown(columns, rows)
    if unsound := sum(not one.sound for one in found):
        text += f"\n\nTrials left out because a stream failed or starved: {unsound}."
    return text


PART: Final = Part("streams", f"{STREAMS:,} streams of events at once: delay added, memory a stream", _measure)
