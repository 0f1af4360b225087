"""Native code: which modules a release compiles, and whether this installation is one.

Releases compile the path of a request with mypyc, from the same sources, which are checked for types; a checkout interprets
them. What a request does is the same, what it costs is not (docs/performance.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent

MODULES: Final = (
    # Only what a request passes. A class that inherits from one of these has to be here too.
    "audit.encoding",
    "audit.format",
    "audit.journal",
    "core.canonical",
    "core.event",
    "core.request",
    "core.verdict",
    "credentials.canaries",
    "credentials.escapes",
    "credentials.forms.body",
    "credentials.forms.cookie",
    "credentials.forms.header",
    "credentials.forms.placeholder",
    "credentials.forms.query",
    "credentials.injector",
    "credentials.needles",
    "credentials.scrub",
    "gateway.answer",
    "gateway.answering",
    "gateway.attempt",
    "gateway.client",
    "gateway.client_hello",
    "gateway.exchange",
    "gateway.fronts.handover",
    "gateway.fronts.identity",
    "gateway.fronts.opening",
    "gateway.fronts.proxy",
    "gateway.http1.body",
    "gateway.http1.head",
    "gateway.http2.answer",
    "gateway.ledger",
    "gateway.listeners",
    "gateway.messages",
    "gateway.pool",
    "gateway.record",
    "gateway.rewrite",
    "gateway.routes",
    "gateway.ruleset",
    "gateway.turn",
    "gateway.upstream",
    "gateway.websocket_frames",
    "policy.constraints",
    "policy.decide",
    "policy.globs",
    "policy.trie",
)


def kind(package: Path = _PACKAGE) -> str:
    """``native``, ``interpreted``, or ``damaged`` where only some of the modules are compiled."""
    compiled = [any(package.glob(f"{name.replace('.', '/')}.*.so")) for name in MODULES]
    return "native" if all(compiled) else "damaged" if any(compiled) else "interpreted"
