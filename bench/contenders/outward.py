"""Outward with everything on: ``outward serve`` as anybody would start it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contenders.contender import Contender, Route
from bench.process import running
from bench.upstream import HOST, REAL_KEY, RULES, WORK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.upstream import Upstream

PROGRAM: Final = Path(sys.executable).with_name("outward")
_COMPLAINTS: Final = WORK / "outward.log"
_OTHER: Final = "sk-bench-other-0123456789abcdef0123456789abcde"


@contextlib.contextmanager
def serve(upstream: Upstream, *, rules: Sequence[str] = RULES, workers: int = 1) -> Iterator[Route]:
    """``outward serve`` with these path rules."""
    home = Path(tempfile.mkdtemp(prefix="outward-", dir=WORK))
    policy = home / "policy.yaml"
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
                        "allow": [f"GET,POST {path}" for path in rules],
                        "inject": [{"header": "x-api-key", "secret": "key"}, {"placeholder": "other"}],
                    }
                ],
            }
        )
    )
    environment = {"OUTWARD_HOME": str(home), "BENCH_KEY": REAL_KEY, "BENCH_OTHER": _OTHER}
    command = [str(PROGRAM), "serve", "--policy", str(policy), "--listen", "127.0.0.1:0", "--workers", str(workers)]
    try:
        with running(command, environment=environment, errors=_COMPLAINTS) as process:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline() or "{}")
            if not ready:
                raise RuntimeError(f"outward serve did not start: {_COMPLAINTS.read_text()}")
            yield Route(ready["listen"][0], Path(ready["ca"]), process.pid)
    finally:
        shutil.rmtree(home)


CONTENDER: Final = Contender(
    "Outward",
    "TLS on both legs, 50 path rules, strips the client's key, injects the real one, scans for placeholders, redacts the "
    "answer, hash-chained journal with a record before and after",
    serve,
)
