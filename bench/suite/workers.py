"""Two workers against one.

Where the load and the proxy share few processors, two workers cannot show what they could do: the load takes its part. So
besides the rate there is what a request costs (which contention between workers would raise) and how evenly the work is spread
(the busiest worker is the limit where each has a processor to itself). Together they say how many times one worker's rate two
of them would reach there.
"""

from __future__ import annotations

import contextlib
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench import check, report, trial
from bench.contenders import envoy, outward
from bench.process import cpu_by_thread
from bench.suite.part import MAX_ROUNDS, Findings, Part, Settings, in_turns, say
from bench.upstream import serving

if TYPE_CHECKING:
    from bench.contenders.contender import Route
    from bench.trial import Mode, Trial
    from bench.upstream import Upstream

CONNECTIONS: Final = 64


class _Run(NamedTuple):
    trial: Trial
    spread: float
    """Time on the processor of all threads, in multiples of the busiest one's: 2 where two share the work equally."""


def _measure(settings: Settings) -> Findings:
    with serving() as upstream:
        return _measure_at(settings, upstream)


def _measure_at(settings: Settings, upstream: Upstream) -> Findings:
    servers = {
        one.name: serve
        for one, serve in ((outward.CONTENDER, outward.serve), (envoy.CONTENDER, envoy.serve))
        if settings.wants(one.name) and not one.missing()
    }
    mode = trial.Mode(CONNECTIONS, 0, 0, settings.seconds)
    found: dict[str, list[_Run]] = {}
    with contextlib.ExitStack() as stack:
        routes = {}
        for name, serve in servers.items():
            for workers in (1, 2):
                route = stack.enter_context(serve(upstream, workers=workers))
                if fault := check.check(route, upstream):
                    raise RuntimeError(f"{name} with {workers} workers: {fault}")
                routes[f"{name}, {workers}"] = route
        for number, name in in_turns(list(routes), min(settings.rounds, MAX_ROUNDS)):
            one = _run(name, routes[name], upstream, mode)
            found.setdefault(name, []).append(one)
            figures = f"{report.rate(one.trial):9.1f}/s  {report.cost(one.trial):7.1f} CPU µs/request"
            say(f"workers, round {number + 1}: {name:20} {figures}  spread {one.spread:.2f}")
    raw: list[dict[str, Any]] = [
        {**one.trial.to_json(), "spread": one.spread} for runs in found.values() for one in runs
    ]
    return Findings(_table(found, list(servers)), raw, {})


def _run(name: str, route: Route, upstream: Upstream, mode: Mode) -> _Run:
    assert route.pid is not None
    before = cpu_by_thread(route.pid)
    one = trial.run(name, route, upstream, "busy", mode)
    used = [seconds - before.get(pid, 0.0) for pid, seconds in cpu_by_thread(route.pid).items()]
    return _Run(one, sum(used) / max(used))


def _table(found: dict[str, list[_Run]], names: list[str]) -> str:
    rows = []
    for name in names:
        sound = [[run for run in found[f"{name}, {workers}"] if not run.trial.errors] for workers in (1, 2)]
        if not all(sound):
            rows.append([name, "failed", *[""] * 6])
            continue
        rates = [median(report.rate(run.trial) for run in runs) for runs in sound]
        costs = [median(report.cost(run.trial) for run in runs) for runs in sound]
        spread = median(run.spread for run in sound[1])
        rows.append(
            [
                name,
                *map(report.number, rates),
                report.ratio(rates[1] / rates[0]),
                *map(report.number, costs),
                f"{spread:.2f}",
                report.ratio(spread * costs[0] / costs[1]),
            ]
        )
    columns = [
        "",
        "requests/s, 1 worker",
        "2 workers",
        "ratio here",
        "CPU µs/request, 1 worker",
        "2 workers",
        "spread",
        "ratio with a processor each",
    ]
    return report.markdown(columns, rows)


PART: Final = Part("workers", "two workers against one", _measure)
