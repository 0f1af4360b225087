"""The upstream's work as a mitmproxy addon. Runs in mitmproxy's own environment."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitmproxy.http import Response  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

HOST, KEY = os.environ["BENCH_HOST"], os.environ["BENCH_KEY"]
RULES = [re.compile(re.escape(rule).replace(r"\*", "[^/]+")) for rule in os.environ["BENCH_RULES"].splitlines()]
LOG = Path(os.environ["BENCH_LOG"]).open("a", buffering=1)  # noqa: SIM115 (open as long as the process lives)


def _resolve(host: str, *arguments: Any, **options: Any) -> Any:
    """The host resolves nowhere. (Changing a connection's address in a hook would end the reuse of connections.)"""
    return _getaddrinfo("127.0.0.1" if host == HOST else host, *arguments, **options)


_getaddrinfo: Any = socket.getaddrinfo
setattr(socket, "getaddrinfo", _resolve)  # noqa: B010 (a type checker would rightly object to the assignment)


def http_connect(flow: HTTPFlow) -> None:
    if flow.request.host != HOST:
        flow.response = Response.make(403, b'{"error": "host_not_allowed"}')


def requestheaders(flow: HTTPFlow) -> None:
    path = flow.request.path.partition("?")[0]
    if flow.request.method not in {"GET", "POST"} or not any(rule.fullmatch(path) for rule in RULES):
        flow.response = Response.make(403, b'{"error": "path_not_allowed"}')
        return
    flow.request.headers["x-api-key"] = KEY


def response(flow: HTTPFlow) -> None:
    request = flow.request
    record = {
        "time": time.time(),
        "method": request.method,
        "host": request.pretty_host,
        "path": request.path,
        "status": flow.response.status_code if flow.response else 0,
        "duration_ms": (time.time() - request.timestamp_start) * 1e3,
    }
    LOG.write(json.dumps(record) + "\n")
