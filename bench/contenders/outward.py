"""Outward with everything on: ``outward serve`` as anybody would start it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contenders.contender import Contender, Route
from bench.process import running
from bench.upstream import HOST, REAL_KEY, RULES, WORK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.upstream import Upstream

_PROGRAM: Final = Path(sys.executable).with_name("outward")
_OTHER: Final = "sk-bench-other-0123456789abcdef0123456789abcde"


@contextlib.contextmanager
def _open(upstream: Upstream) -> Iterator[Route]:
    policy = WORK / "policy.yaml"
    # JSON is YAML. The second secret is bound and exposed but not asked for: every request is scanned for its placeholder,
    # every answer for both values.
    policy.write_text(
        json.dumps(
            {
                "version": 1,
                "secrets": {"key": {"env": "BENCH_KEY"}, "other": {"env": "BENCH_OTHER", "expose": "OTHER_TOKEN"}},
                "destinations": [
                    {
                        "host": HOST,
                        "port": upstream.port,
                        "connect_to": upstream.address,
                        "ca": str(upstream.authority),
                        "allow": [f"GET,POST {path}" for path in RULES],
                        "inject": [{"header": "x-api-key", "secret": "key"}, {"placeholder": "other"}],
                    }
                ],
            }
        )
    )
    home = WORK / "outward"
    shutil.rmtree(home, ignore_errors=True)
    environment = {"OUTWARD_HOME": str(home), "BENCH_KEY": REAL_KEY, "BENCH_OTHER": _OTHER}
    command = [str(_PROGRAM), "serve", "--policy", str(policy), "--listen", "127.0.0.1:0"]
    with running(command, environment=environment) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline() or "{}")
        if not ready:
            raise RuntimeError("outward serve did not start")
        yield Route(ready["listen"][0], Path(ready["ca"]), process.pid)


CONTENDER: Final = Contender(
    "Outward",
    "TLS on both legs, 50 path rules, strips the client's key, injects the real one, scans for placeholders, redacts the "
    "answer, hash-chained journal with a record before and after",
    _open,
)
