"""Requests, connections, latency and a download, through every contender."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from bench import check, report, trial
from bench.contenders import CONTENDERS
from bench.suite.part import Findings, Part, Settings, in_turns, say
from bench.upstream import serving

if TYPE_CHECKING:
    from bench.contenders.contender import Contender, Route
    from bench.upstream import Upstream


def _measure(settings: Settings) -> Findings:
    with serving() as upstream:
        return _measure_at(settings, upstream)


def _measure_at(settings: Settings, upstream: Upstream) -> Findings:
    wanted = [contender for contender in CONTENDERS if settings.wants(contender.name)]
    reasons = {contender.name: contender.missing() for contender in wanted}
    trials = []
    with contextlib.ExitStack() as stack:
        routes = _open(stack, [contender for contender in wanted if not reasons[contender.name]], upstream, reasons)
        for number, name in in_turns(list(routes), settings.rounds):
            for mode_name, mode in trial.modes(settings.seconds).items():
                one = trial.run(name, routes[name], upstream, mode_name, mode)
                trials.append(one)
                figures = f"{report.rate(one):10.1f}/s  p50 {one.p50_us:9.0f} µs  errors {one.errors}"
                say(f"requests, round {number + 1}: {name:18} {mode_name:9} {figures}")
    return Findings(report.table(trials, reasons), [one.to_json() for one in trials], {})


def _open(
    stack: contextlib.ExitStack, contenders: list[Contender], upstream: Upstream, reasons: dict[str, str]
) -> dict[str, Route]:
    """Starts all contenders, and keeps those that do the work; ``reasons`` says why the others do not."""
    routes = {}
    for contender in contenders:
        try:
            route = stack.enter_context(contender.open(upstream))
        except (OSError, RuntimeError, ValueError) as error:
            reasons[contender.name] = f"did not start ({error})"
            continue
        reasons[contender.name] = check.check(route, upstream)
        if not reasons[contender.name]:
            routes[contender.name] = route
    return routes


PART: Final = Part("requests", "requests, connections, latency and a download through every contender", _measure)
