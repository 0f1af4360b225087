"""How cost grows: with rules, with connections, with the size of a body, with streams. One picture each."""

from __future__ import annotations

import contextlib
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench import check, plot, report, trial
from bench.contenders import envoy, outward
from bench.suite.part import Findings, Part, Settings, in_turns, say
from bench.suite.rules import rules
from bench.upstream import SIZES, serving, sized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from bench.contenders.contender import Route
    from bench.trial import Mode, Trial
    from bench.upstream import Upstream

    Serve = Callable[..., AbstractContextManager[Route]]
    Lines = dict[str, list[tuple[float, float]]]

RULES: Final = (1, 10, 100, 1_000, 10_000)
CONNECTIONS: Final = (1, 4, 16, 64, 256)
STREAMS: Final = (100, 400, 700, 1_000)

SECONDS: Final = 1.5
ROUNDS: Final = 2
"""For each point: a curve has many of them, and the eye takes the mean."""


def _measure(settings: Settings) -> Findings:
    servers: dict[str, Serve] = {
        one.name: serve
        for one, serve in ((outward.CONTENDER, outward.serve), (envoy.CONTENDER, envoy.serve))
        if settings.wants(one.name) and not one.missing()
    }
    raw: list[dict[str, Any]] = []
    with serving() as upstream:
        charts = {
            "growth-rules": plot.Chart(
                "What a request costs, by rules", "path rules on the host", "CPU µs per request",
                _by_rules(servers, upstream, raw), log_x=True, log_y=True,
            ),
            "growth-connections": plot.Chart(
                "What a request costs, by connections", "connections that stay open", "CPU µs per request",
                _by_mode(servers, upstream, raw, {n: trial.Mode(n, 0, 0, SECONDS) for n in CONNECTIONS}), log_x=True,
            ),
            "growth-body": plot.Chart(
                "What a request costs, by size of the answer", "octets of the answer", "CPU µs per request",
                _by_mode(servers, upstream, raw, {n: trial.Mode(8, 0, 0, SECONDS, sized(n)) for n in SIZES}),
                log_x=True, log_y=True,
            ),
            "growth-streams": plot.Chart(
                "Memory, by streams of events", "streams open at once", "resident MiB", _by_streams(servers, upstream, raw)
            ),
        }  # fmt: skip
    text = "\n\n".join(f"![{chart.title}]({name}.svg)" for name, chart in charts.items())
    return Findings(text, raw, {f"{name}.svg": plot.svg(chart) for name, chart in charts.items()})


def _by_rules(servers: dict[str, Serve], upstream: Upstream, raw: list[dict[str, Any]]) -> Lines:
    lines: Lines = {}
    mode = trial.Mode(32, 0, 0, SECONDS)
    for name, serve in servers.items():
        with contextlib.ExitStack() as stack:
            routes = {count: _checked(stack, serve, upstream, rules=rules(count)) for count in RULES}
            costs = _costs(name, "rules", {count: (route, mode) for count, route in routes.items()}, upstream, raw)
        lines[name] = costs
    return lines


def _by_mode(servers: dict[str, Serve], upstream: Upstream, raw: list[dict[str, Any]], modes: dict[int, Mode]) -> Lines:
    lines: Lines = {}
    for name, serve in servers.items():
        with contextlib.ExitStack() as stack:
            route = _checked(stack, serve, upstream)
            subject = "connections" if len({mode.path for mode in modes.values()}) == 1 else "octets"
            lines[name] = _costs(name, subject, {size: (route, mode) for size, mode in modes.items()}, upstream, raw)
    return lines


def _by_streams(servers: dict[str, Serve], upstream: Upstream, raw: list[dict[str, Any]]) -> Lines:
    lines: Lines = {}
    for name, serve in servers.items():
        lines[name] = []
        for count in STREAMS:
            with contextlib.ExitStack() as stack:
                one = trial.listen(name, _checked(stack, serve, upstream), upstream, count, SECONDS)
            say(f"growth: {name:18} {count:6,} streams  {one.resident_mb:7.1f} MiB")
            raw.append(one.to_json())
            if one.sound:
                lines[name].append((count, one.resident_mb))
    return lines


def _checked(stack: contextlib.ExitStack, serve: Serve, upstream: Upstream, **options: Any) -> Route:
    route = stack.enter_context(serve(upstream, **options))
    if fault := check.check(route, upstream):
        raise RuntimeError(fault)
    return route


def _costs(
    name: str, subject: str, points: dict[int, tuple[Route, Mode]], upstream: Upstream, raw: list[dict[str, Any]]
) -> list[tuple[float, float]]:
    """The median cost of a request at each point, in microseconds on the processor."""
    found: dict[int, list[Trial]] = {}
    for _, point in in_turns([str(point) for point in points], ROUNDS):
        route, mode = points[int(point)]
        one = trial.run(name, route, upstream, f"{subject} {point}", mode)
        found.setdefault(int(point), []).append(one)
        raw.append(one.to_json())
        say(
            f"growth: {name:18} {int(point):10,} {subject:12} {report.cost(one):10.1f} CPU µs/request  errors {one.errors}"
        )
    return [(point, median(map(report.cost, sound))) for point in points if (sound := _sound(found[point]))]


def _sound(trials: Sequence[Trial]) -> list[Trial]:
    return [one for one in trials if one.answers and not one.errors]


PART: Final = Part("growth", "how cost grows with rules, connections, size of the body and streams: pictures", _measure)
