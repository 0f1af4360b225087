"""One line of the journal, before it is one."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Event(NamedTuple):
    """What happened, in the order of the fields of the audit record.

    The journal adds ``seq``, ``time``, ``session``, ``prev`` and ``hash``. Values are ready to be shown: query values are
    masked, secrets are named and never carried. ``None`` fields are left out of the line. Durations are milliseconds.
    """

    phase: Literal["start", "end", "note"]
    id: str
    kind: str
    agent: str
    method: str | None = None
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    path: str | None = None
    verdict: str | None = None
    code: str | None = None
    rule: str | None = None
    secrets: tuple[str, ...] = ()
    status: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    duration_ms: float | None = None
    ttfb_ms: float | None = None
    address: str | None = None
    error: str | None = None
