"""``python -m bench.soak``: runs the traffic, watches the gateway, and says whether it held."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.process import cpu_seconds, resident_mb, running
from bench.soak.messages import GRPC, HTTP, REAL_KEY, WEBSOCKET
from bench.soak.traffic import KINDS, Gateway, Kind
from bench.upstream import WORK, write_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_EVERY: Final = 5.0
RELOAD_EVERY: Final = 30.0
LONGEST: Final = 30.0
"""Seconds that one piece of traffic may take."""
MAY_GROW: Final = 1.1
"""Resident memory in the last quarter, over that in the second, beyond which it counts as growing."""
_PROGRAM: Final = Path(sys.executable).with_name("outward")


@dataclass(frozen=True)
class Sample:
    """The gateway at one moment."""

    seconds: float
    resident: float
    descriptors: int


@contextlib.contextmanager
def _gateway() -> Iterator[tuple[subprocess.Popen[str], Gateway, Path]]:
    home, policy = WORK / "soak", WORK / "soak.yaml"
    shutil.rmtree(home, ignore_errors=True)
    hosts = (HTTP, WEBSOCKET, GRPC)
    authority = write_certificates(WORK / "soak-server", hosts)
    certificate, key = WORK / "soak-server.pem", WORK / "soak-server.key"
    with running([sys.executable, "-m", "bench.soak.upstream", str(certificate), str(key)]) as upstream:
        assert upstream.stdout is not None
        ports = json.loads(upstream.stdout.readline())
        allow = {
            HTTP: ["GET /echo", "POST /upload", "GET /download", "GET /events"],
            WEBSOCKET: ["GET /chat"],
            GRPC: ["POST /soak.Echo/Unary", "POST /soak.Echo/Chat"],
        }
        destinations = [
            {
                "host": host,
                "connect_to": f"127.0.0.1:{ports[host.partition('.')[0]]}",
                "ca": str(authority),
                "allow": allow[host],
                "inject": [{"header": "x-api-key", "secret": "key"}],
            }
            for host in hosts
        ]
        policy.write_text(
            json.dumps({"version": 1, "secrets": {"key": {"env": "SOAK_KEY"}}, "destinations": destinations})
        )
        command = [str(_PROGRAM), "serve", "--policy", str(policy), "--listen", "127.0.0.1:0", "--socks", "127.0.0.1:0"]
        with running(command, environment={"OUTWARD_HOME": str(home), "SOAK_KEY": REAL_KEY}) as process:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            proxy, socks = ready["listen"]
            ca = Path(ready["ca"])
            yield process, Gateway(proxy, socks, ca, ssl.create_default_context(cafile=str(ca))), home


def _sample(pid: int, start: float) -> Sample:
    return Sample(time.monotonic() - start, resident_mb(pid), len(list(Path(f"/proc/{pid}/fd").iterdir())))


class Soak:
    """One soak: what was done, what went wrong, what was seen."""

    def __init__(self, gateway: Gateway, pid: int, seconds: float) -> None:
        self._gateway: Final = gateway
        self._pid: Final = pid
        self._seconds: Final = seconds
        self._start: Final = time.monotonic()
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """All kinds of traffic for the given time, then a moment of rest and the last look."""
        self.samples.append(_sample(self._pid, self._start))
        async with asyncio.TaskGroup() as group:
            for kind, rate in KINDS.items():
                group.create_task(self._repeat(kind, rate))
            group.create_task(self._watch())
        await asyncio.sleep(3)
        self.samples.append(_sample(self._pid, self._start))

    def _left(self) -> float:
        return self._start + self._seconds - time.monotonic()

    async def _repeat(self, kind: Kind, rate: float) -> None:
        async with asyncio.TaskGroup() as group:
            while self._left() > 0:
                group.create_task(self._once(kind))
                await asyncio.sleep(1 / rate)

    async def _once(self, kind: Kind) -> None:
        name = getattr(kind, "__name__", "?")
        try:
            async with asyncio.timeout(LONGEST):
                await kind(self._gateway)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding and ends up in the report
            self.errors.append(f"{name}: {error!r}")
        self.done[name] += 1

    async def _watch(self) -> None:
        reload = RELOAD_EVERY
        while self._left() > 0:
            await asyncio.sleep(min(SAMPLE_EVERY, max(self._left(), 0.01)))
            one = _sample(self._pid, self._start)
            self.samples.append(one)
            if one.seconds >= reload:
                reload += RELOAD_EVERY
                os.kill(self._pid, signal.SIGHUP)
            print(
                f"{one.seconds:5.0f} s  {one.resident:6.1f} MiB  {one.descriptors:4d} descriptors  "
                f"{self.done.total():6d} done  {len(self.errors)} wrong",
                flush=True,
            )

    def verdict(self) -> list[str]:
        """What did not hold; nothing is good news."""
        quarter = max(1, (len(self.samples) - 2) // 4)
        early = statistics.median(one.resident for one in self.samples[quarter : 2 * quarter])
        late = statistics.median(one.resident for one in self.samples[-quarter - 1 : -1])
        first, last = self.samples[0], self.samples[-1]
        print(f"resident memory: second quarter {early:.1f} MiB, last quarter {late:.1f} MiB (medians)")
        most = max(one.descriptors for one in self.samples)
        print(f"descriptors: {first.descriptors} before, {last.descriptors} after, {most} at most")
        findings = [f"{text} ({count} times)" for text, count in Counter(self.errors).most_common(20)]
        if late > early * MAY_GROW:
            findings.append(f"memory grew by {late - early:.1f} MiB")
        # The pool may keep connections to the three servers for a while.
        if last.descriptors > first.descriptors + 80:
            findings.append(f"{last.descriptors - first.descriptors} descriptors are left over")
        return findings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="default 10")
    arguments = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    with _gateway() as (process, gateway, home):
        soak = Soak(gateway, process.pid, arguments.minutes * 60)
        asyncio.run(soak.run())
        used = cpu_seconds(process.pid)
        findings = soak.verdict()
    print(
        f"done: {', '.join(f'{name} {count}' for name, count in soak.done.most_common())}; {used:.0f} s of processor time"
    )
    verified = subprocess.run(
        [str(_PROGRAM), "audit", "verify"],
        env={**os.environ, "OUTWARD_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    print(verified.stdout.strip() or verified.stderr.strip())
    if verified.returncode:
        findings.append("the journal does not verify")
    print("\n".join(f"WRONG: {one}" for one in findings) or "held")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
