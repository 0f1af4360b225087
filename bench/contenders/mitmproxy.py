"""mitmproxy with an addon, ``mitmproxy_addon.py``."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contenders.contender import Contender, Route
from bench.process import running, wait_for_port
from bench.upstream import HOST, REAL_KEY, RULES, WORK, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.upstream import Upstream

_VERSION: Final = "11.0.2"
_DIRECTORY: Final = WORK / "mitmproxy"
_PROGRAM: Final = _DIRECTORY / "bin" / "mitmdump"


@contextlib.contextmanager
def _open(upstream: Upstream) -> Iterator[Route]:
    port = free_port()
    state = WORK / "mitmproxy-state"
    options = {
        "listen_host": "127.0.0.1",
        "listen_port": port,
        "confdir": state,
        "ssl_verify_upstream_trusted_ca": upstream.authority,
        "stream_large_bodies": "1m",
        "connection_strategy": "lazy",
        "flow_detail": 0,
        "termlog_verbosity": "error",
    }
    environment = {
        "BENCH_HOST": HOST,
        "BENCH_KEY": REAL_KEY,
        "BENCH_RULES": "\n".join(RULES),
        "BENCH_LOG": str(WORK / "mitmproxy.jsonl"),
    }
    command = [str(_PROGRAM), "-s", str(Path(__file__).with_name("mitmproxy_addon.py"))]
    for name, value in options.items():
        command += ["--set", f"{name}={value}"]
    with running(command, environment=environment, log=WORK / "mitmproxy.log") as process:
        wait_for_port(port, process)
        yield Route(f"127.0.0.1:{port}", state / "mitmproxy-ca-cert.pem", process.pid)


def _fetch() -> None:
    subprocess.run([sys.executable, "-m", "venv", _DIRECTORY], check=True)
    subprocess.run([_DIRECTORY / "bin" / "pip", "install", "-q", f"mitmproxy=={_VERSION}"], check=True)


CONTENDER: Final = Contender(
    f"mitmproxy {_VERSION}",
    "TLS on both legs, 50 path rules, replaces the key, one JSON line a request (an addon of 40 lines)",
    _open,
    lambda: "" if _PROGRAM.exists() else "not fetched",
    _fetch,
)
