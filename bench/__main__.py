"""``python -m bench``: measures, prints the table, and writes it into ``docs/performance.md``."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import check, report, trial
from bench.contenders import CONTENDERS
from bench.upstream import WORK, Upstream, serving

if TYPE_CHECKING:
    from bench.contenders.contender import Contender, Route

_DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"


def _arguments() -> argparse.Namespace:
    names = [contender.name.split()[0].lower() for contender in CONTENDERS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--fetch-peers", action="store_true", help="install the peers into bench/.work, and end")
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 21), metavar="N", help="1 to 20, default 5")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="length of a trial, default 3")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    WORK.mkdir(exist_ok=True)
    if arguments.fetch_peers:
        for contender in CONTENDERS:
            contender.fetch()
        return
    trial.build()
    wanted = [contender for contender in CONTENDERS if contender.name.split()[0].lower() in arguments.only]
    reasons = {contender.name: contender.missing() for contender in wanted}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(serving())
        routes = _open(stack, [contender for contender in wanted if not reasons[contender.name]], upstream, reasons)
        trials = _rounds(routes, upstream, arguments.rounds, arguments.seconds)
    (WORK / "results.json").write_text(json.dumps([one.to_json() for one in trials], indent=1))
    text = report.table(trials, reasons, _heading(arguments.rounds, arguments.seconds))
    print(text)
    if not arguments.no_write:
        report.write(text, _DOCUMENT)


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


def _rounds(routes: dict[str, Route], upstream: Upstream, rounds: int, seconds: float) -> list[trial.Trial]:
    """All trials, every second round in the opposite order: a machine that slows down slows all of them down."""
    trials = []
    for number in range(rounds):
        for name in list(routes)[:: -1 if number % 2 else 1]:
            for mode_name, mode in trial.modes(seconds).items():
                one = trial.run(name, routes[name], upstream, mode_name, mode)
                trials.append(one)
                figures = f"{report.rate(one):10.1f}/s  p50 {one.p50_us:9.0f} µs  errors {one.errors}"
                print(f"round {number + 1}  {name:18} {mode_name:9} {figures}", file=sys.stderr)
    return trials


def _heading(rounds: int, seconds: float) -> str:
    today = dt.datetime.now(dt.UTC).date()
    return (
        f"{today}, {os.cpu_count()} CPUs ({platform.machine()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}; medians of {rounds} rounds of {seconds:g} s."
    )


if __name__ == "__main__":
    main()
