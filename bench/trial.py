"""One run of the load generator, and what it cost the proxy."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.events import PERIOD
from bench.process import cpu_seconds, resident_mb
from bench.upstream import BIG, DUMMY_KEY, EVENTS, REAL_KEY, SMALL, WORK

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
    command = _command(route, upstream, mode.path, mode.connections, mode.per_connection, mode.limit, mode.seconds)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not mode.per_connection:
            process.stdout.readline()  # opening the connections is not part of what a request costs
        before = cpu_seconds(route.pid) if route.pid else 0.0
        printed = process.stdout.read()
    if process.returncode or not printed:
        raise RuntimeError(f"the load generator failed on {contender}, {name}")
    numbers = json.loads(printed)
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


def _command(route: Route, upstream: Upstream, path: str, *numbers: object) -> list[str]:
    key = DUMMY_KEY if route.proxy else REAL_KEY
    return [str(_PROGRAM), route.proxy or "-", upstream.address, upstream.name, path, key, *map(str, numbers)]


@dataclass(frozen=True, slots=True)
class Streams:
    """Many streams at once. ``p50_us`` and ``p99_us`` are of an event's time under way, ``gap_…`` of the time between two
    events of a stream; ``fewest`` is the number of events of the stream that got the fewest. ``idle_mb`` is the proxy's
    memory before, ``resident_mb`` while all streams are open."""

    contender: str
    streams: int
    answers: int
    errors: int
    seconds: float
    octets: int
    p50_us: float
    p99_us: float
    gap_p50_us: float
    gap_p99_us: float
    fewest: int
    cpu_s: float
    idle_mb: float
    resident_mb: float

    @property
    def sound(self) -> bool:
        """Whether every stream was served to the end."""
        return not self.errors and self.fewest >= int(self.seconds / PERIOD) - 1

    def to_json(self) -> dict[str, Any]:
        """For the file of raw results."""
        return asdict(self)


def listen(contender: str, route: Route, upstream: Upstream, streams: int, seconds: float) -> Streams:
    """Opens ``streams`` streams one after the other and listens to all of them for ``seconds``."""
    idle = resident_mb(route.pid) if route.pid else 0.0
    command = _command(route, upstream, EVENTS, streams, "stream", 0, seconds)
    cpu = resident = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if route.pid:
            before = cpu_seconds(route.pid)
            time.sleep(seconds)
            resident, cpu = resident_mb(route.pid), cpu_seconds(route.pid) - before
        last = process.stdout.read().splitlines()
    if process.returncode or not last:
        raise RuntimeError(f"{contender}: not all of {streams} streams began")
    return Streams(contender, streams, **json.loads(last[-1]), cpu_s=cpu, idle_mb=idle, resident_mb=resident)
