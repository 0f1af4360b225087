"""A policy of ten rules and one of ten thousand: what a request costs the proxy."""

from __future__ import annotations

import contextlib
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import check, report, trial
from bench.contenders import envoy, outward
from bench.suite.part import MAX_ROUNDS, Findings, Part, Settings, in_turns, say
from bench.upstream import serving

if TYPE_CHECKING:
    from bench.trial import Trial
    from bench.upstream import Upstream

FEW: Final = 10
MANY: Final = 10_000


def rules(count: int) -> tuple[str, ...]:
    """Path rules for the upstream's host; the last one lets the benchmark's requests through."""
    return (*(f"/api/v{number}/*/items" for number in range(count - 1)), "/v1/items/*")


def _measure(settings: Settings) -> Findings:
    with serving() as upstream:
        return _measure_at(settings, upstream)


def _measure_at(settings: Settings, upstream: Upstream) -> Findings:
    servers = {
        one.name: serve
        for one, serve in ((outward.CONTENDER, outward.serve), (envoy.CONTENDER, envoy.serve))
        if settings.wants(one.name) and not one.missing()
    }
    found: dict[str, list[Trial]] = {}
    with contextlib.ExitStack() as stack:
        routes = {}
        for name, serve in servers.items():
            for count in (FEW, MANY):
                route = stack.enter_context(serve(upstream, rules=rules(count)))
                if fault := check.check(route, upstream):
                    raise RuntimeError(f"{name} with {count} rules: {fault}")
                routes[f"{name}, {count:,} rules"] = route
        mode = trial.modes(settings.seconds)["busy"]
        for number, name in in_turns(list(routes), min(settings.rounds, MAX_ROUNDS)):
            one = trial.run(name, routes[name], upstream, "busy", mode)
            found.setdefault(name, []).append(one)
            say(f"rules, round {number + 1}: {name:28} {report.cost(one):8.1f} CPU µs/request  errors {one.errors}")
    return Findings(_table(found, list(servers)), [one.to_json() for trials in found.values() for one in trials], {})


def _table(found: dict[str, list[Trial]], names: list[str]) -> str:
    rows = []
    for name in names:
        few, many = (_median_cost(found[f"{name}, {count:,} rules"]) for count in (FEW, MANY))
        ratio = many / few if few and many else None
        rows.append([name, report.number(few), report.number(many), report.ratio(ratio)])
    return report.markdown(["CPU µs/request", f"{FEW} rules", f"{MANY:,} rules", "ratio"], rows)


def _median_cost(trials: list[Trial]) -> float | None:
    costs = [report.cost(one) for one in trials if one.answers and not one.errors]
    return median(costs) if costs else None


PART: Final = Part("rules", f"a policy of {MANY:,} rules against one of {FEW}", _measure)
