"""One run of the load generator, and what it cost the proxy."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.process import cpu_seconds, resident_mb
from bench.upstream import BIG, DUMMY_KEY, REAL_KEY, SMALL, WORK

if TYPE_CHECKING:
    from bench.contenders.contender import Route
    from bench.upstream import Upstream

_SOURCE: Final = Path(__file__).with_name("load.c")
_PROGRAM: Final = WORK / "load"


@dataclass(frozen=True, slots=True)
class Mode:
    """``per_connection`` requests a connection (0: any number); ends after ``limit`` answers or ``seconds``."""

    connections: int
    per_connection: int
    limit: int
    seconds: float
    path: str = SMALL


def modes(seconds: float) -> dict[str, Mode]:
    """What is measured, each for at most ``seconds`` (the download for at most a minute)."""
    return {
        "busy": Mode(32, 0, 0, seconds),
        "new": Mode(16, 1, 0, seconds),
        "single": Mode(1, 0, 0, seconds),
        "download": Mode(1, 1, 1, 60.0, BIG),
    }


@dataclass(frozen=True, slots=True)
class Trial:
    """``cpu_s`` is the proxy's time on the processor, ``resident_mb`` its memory right after, ``peak_mb`` at most so far."""

    contender: str
    mode: str
    answers: int
    errors: int
    seconds: float
    octets: int
    p50_us: float
    p99_us: float
    cpu_s: float = 0.0
    resident_mb: float = 0.0
    peak_mb: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For the file of raw results."""
        return asdict(self)


def build() -> None:
    """Compiles the load generator, if its source is newer."""
    if not _PROGRAM.exists() or _PROGRAM.stat().st_mtime < _SOURCE.stat().st_mtime:
        command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(_PROGRAM), str(_SOURCE), "-lssl", "-lcrypto"]
        subprocess.run(command, check=True)


def run(contender: str, route: Route, upstream: Upstream, name: str, mode: Mode) -> Trial:
    """One trial. What the generator complains about goes to standard error."""
    key = DUMMY_KEY if route.proxy else REAL_KEY
    counts = [mode.connections, mode.per_connection, mode.limit, mode.seconds]
    command = [str(_PROGRAM), route.proxy or "-", upstream.address, upstream.name, mode.path, key, *map(str, counts)]
    before = cpu_seconds(route.pid) if route.pid else 0.0
    outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=mode.seconds + 30)
    numbers = json.loads(outcome.stdout)
    if route.pid is None:
        return Trial(contender, name, **numbers)
    return Trial(
        contender,
        name,
        **numbers,
        cpu_s=cpu_seconds(route.pid) - before,
        resident_mb=resident_mb(route.pid),
        peak_mb=resident_mb(route.pid, "VmHWM"),
    )
