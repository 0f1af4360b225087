"""``python -m bench``: measures, prints what was found, and writes it into ``docs/performance.md``."""

from __future__ import annotations

import argparse
import compileall
import datetime as dt
import json
import os
import platform
import resource
import time
from pathlib import Path
from typing import Final

import outward
from bench import report, trial
from bench.contenders import CONTENDERS
from bench.suite import growth, requests, rules, start, streams, workers
from bench.suite.part import Findings, Part, Settings, say
from bench.upstream import WORK, alone
from outward import native

_DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"

PARTS: Final[dict[str, Part]] = {
    # In the order of the document.
    part.name: part
    for part in (requests.PART, workers.PART, streams.PART, start.PART, rules.PART, growth.PART)
}


def _arguments() -> argparse.Namespace:
    names = [contender.name.split()[0].lower() for contender in CONTENDERS]
    parts = "\n".join(f"  {name:<10} {part.shows}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Puts the same work through Outward and through its peers on this machine.",
        epilog=(
            f"parts:\n{parts}\n\n"
            "examples:\n"
            "  python -m bench --fetch-peers                              once, into bench/.work\n"
            "  python -m bench                                            everything, into docs/performance.md\n"
            "  python -m bench --parts requests --only direct outward --rounds 1 --no-write\n"
            "                                                             half a minute, after a change\n\n"
            "Compare figures of one run with each other, not with those of another machine or hour."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--fetch-peers", action="store_true", help="install the peers into bench/.work, and end")
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 21), metavar="N", help="1 to 20, default 5")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="length of a trial, default 3")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help="default: all")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--no-write", action="store_true", help="leave docs/ alone")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    WORK.mkdir(exist_ok=True)
    if arguments.fetch_peers:
        for contender in CONTENDERS:
            contender.fetch()
        return
    with alone():
        _prepare()
        settings = Settings(arguments.rounds, arguments.seconds, frozenset(arguments.only))
        everything = {}
        for name in arguments.parts:
            began = time.monotonic()
            findings = PARTS[name].measure(settings)
            say(f"{name}: {time.monotonic() - began:.0f} s")
            print(f"\n{findings.text}\n", flush=True)
            everything[name] = findings.raw
            (WORK / "results.json").write_text(json.dumps(everything, indent=1))
            if not arguments.no_write:
                _write(name, findings, settings)


def _prepare() -> None:
    trial.build()
    # As pip does when it installs; an editable installation would compile at each start where nothing may be written.
    compileall.compile_dir(str(Path(outward.__file__).parent), quiet=2)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a thousand streams are some thousands of descriptors


def _write(name: str, findings: Findings, settings: Settings) -> None:
    report.write(name, f"{_heading(settings)}\n\n{findings.text}", _DOCUMENT)
    for file, picture in findings.pictures.items():
        _DOCUMENT.with_name(file).write_text(picture)


def _heading(settings: Settings) -> str:
    today = dt.datetime.now(dt.UTC).date()
    return (
        f"{today}, {os.cpu_count()} CPUs ({platform.machine()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}, Outward {native.kind()}; "
        f"medians of {settings.rounds} rounds of {settings.seconds:g} s."
    )


if __name__ == "__main__":
    main()
