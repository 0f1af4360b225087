"""One line of the journal, before it is one."""

from __future__ import annotations

from typing import Final, Literal


class Event:
    """What happened, in the order of the fields of the audit record.

    The journal adds ``seq``, ``time``, ``session``, ``prev`` and ``hash``. Values are ready to be shown: query values are
    masked, secrets are named and never carried. ``None`` fields are left out of the line. Durations are milliseconds.

    A class and no tuple: two are made for each request, and compiled it is a struct.
    """

    __slots__ = (
        "address",
        "agent",
        "bytes_in",
        "bytes_out",
        "code",
        "duration_ms",
        "error",
        "host",
        "id",
        "kind",
        "leaks",
        "method",
        "path",
        "phase",
        "port",
        "rule",
        "scheme",
        "secrets",
        "status",
        "ttfb_ms",
        "verdict",
    )

    def __init__(
        self,
        phase: Literal["start", "end", "note"],
        id: str,  # noqa: A002 (the record's own term)
        kind: str,
        agent: str,
        method: str | None = None,
        scheme: str | None = None,
        host: str | None = None,
        port: int | None = None,
        path: str | None = None,
        verdict: str | None = None,
        code: str | None = None,
        rule: str | None = None,
        secrets: tuple[str, ...] = (),
        status: int | None = None,
        bytes_in: int | None = None,
        bytes_out: int | None = None,
        duration_ms: float | None = None,
        ttfb_ms: float | None = None,
        address: str | None = None,
        error: str | None = None,
        leaks: tuple[str, ...] = (),
    ) -> None:
        self.phase: Final = phase
        self.id: Final = id
        self.kind: Final = kind
        self.agent: Final = agent
        self.method: Final = method
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path
        self.verdict: Final = verdict
        self.code: Final = code
        self.rule: Final = rule
        self.secrets: Final = secrets
        self.status: Final = status
        self.bytes_in: Final = bytes_in
        self.bytes_out: Final = bytes_out
        self.duration_ms: Final = duration_ms
        self.ttfb_ms: Final = ttfb_ms
        self.address: Final = address
        self.error: Final = error
        self.leaks: Final = leaks
