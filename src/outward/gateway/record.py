"""What of an exchange goes into the journal. Pure; values are masked here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from outward.core import Event
from outward.gateway.rewrite import masked_query

if TYPE_CHECKING:
    from outward.core import Code, Request, Verdict
    from outward.credentials import CredentialStore


class Outcome(NamedTuple):
    """How an exchange ended. Times are seconds since its start; ``None`` where it did not get so far."""

    status: int | None
    bytes_in: int
    bytes_out: int
    duration: float
    first_byte: float | None = None
    address: str | None = None
    code: Code | None = None
    error: str | None = None


def shown_path(path: str, query: str, store: CredentialStore) -> str:
    """The path for the journal: query values go, and whatever equals a known secret."""
    return store.mask(f"{path}?{masked_query(query)}" if query else path)


def start_event(
    identity: str, kind: str, request: Request, verdict: Verdict, path: str, secrets: tuple[str, ...]
) -> Event:
    """The record that is written before anything is forwarded."""
    return Event(
        "start",
        identity,
        kind,
        request.agent,
        request.method,
        request.scheme,
        request.host,
        request.port,
        path,
        verdict.action.value,
        None,
        verdict.rule,
        secrets,
    )


def end_event(
    identity: str,
    kind: str,
    request: Request,
    verdict: Literal["allow", "ask", "deny"],
    rule: str,
    path: str,
    secrets: tuple[str, ...],
    outcome: Outcome,
) -> Event:
    """The record of the end; the only one of a refused request."""
    return Event(
        "end",
        identity,
        kind,
        request.agent,
        request.method,
        request.scheme or None,
        request.host or None,
        request.port or None,
        path or None,
        verdict,
        outcome.code.value if outcome.code else None,
        rule or None,
        secrets,
        outcome.status,
        outcome.bytes_in,
        outcome.bytes_out,
        round(outcome.duration * 1e3, 3),
        None if outcome.first_byte is None else round(outcome.first_byte * 1e3, 3),
        outcome.address,
        outcome.error,
    )
