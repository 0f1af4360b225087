"""Child processes, and what the kernel says about them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_SECONDS: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    errors: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A child for the duration of the block, with its standard output readable unless all goes to ``log``.

    ``errors`` is a file for what it complains about.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("w")) if log else subprocess.PIPE
        complaints = stack.enter_context(errors.open("w")) if errors else None
        process = stack.enter_context(
            subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT if log else complaints,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Returns when ``process`` accepts connections on ``port``; raises ``RuntimeError`` when it will not."""
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not accept connections")


def tree(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):  # it ended meanwhile
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time since it started of a process, with all its threads, and of those that come from it."""
    return sum(_cpu_seconds(Path(f"/proc/{one}/stat")) for one in tree(pid))


def cpu_by_thread(pid: int) -> dict[int, float]:
    """The same, for each thread that is there now."""
    stats = (path for one in tree(pid) for path in Path(f"/proc/{one}/task").glob("*/stat"))
    return {int(path.parent.name): _cpu_seconds(path) for path in stats}


def _cpu_seconds(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process, and of those that come from it, in MiB: now, or its peak (``VmHWM``)."""
    statuses = [Path(f"/proc/{one}/status").read_text() for one in tree(pid)]
    lines = [line for status in statuses for line in status.splitlines() if line.startswith(f"{field}:")]
    return sum(int(line.split()[1]) / 1024 for line in lines)
