"""What of an exchange goes into the journal; values are masked here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import STATUS_OF_CODE, UPSTREAM_TROUBLE, Code, Event
from outward.gateway.rewrite import masked_query

if TYPE_CHECKING:
    from outward.audit import Batch
    from outward.core import Request, Verdict
    from outward.gateway.gateway import Gateway


class Record:
    """The two records of one exchange: a start before anything is forwarded, an end, whatever happens.

    Both are staged; they are written at the end of the turn at the latest (:mod:`outward.gateway.turn`).

    What is known of the outcome is set while the exchange goes on.
    """

    __slots__ = (
        "_first_byte",
        "_gateway",
        "_id",
        "_kind",
        "_shown",
        "_started",
        "address",
        "body_in",
        "body_out",
        "ended",
        "leaks",
        "secrets",
        "status",
    )

    def __init__(self, gateway: Gateway, kind: str) -> None:
        self._gateway: Final = gateway
        self._kind: Final = kind
        self._id: Final = gateway.ledger.next_id()
        self._started: Final = gateway.clock()
        self._first_byte: float | None = None
        self._shown: str | None = None
        self.ended = False
        self.address: str | None = None
        self.status: int | None = None
        self.secrets: tuple[str, ...] = ()
        self.leaks: tuple[str, ...] = ()
        self.body_in = 0
        self.body_out = 0

    def start(self, request: Request, verdict: Verdict, secrets: tuple[str, ...]) -> Batch:
        """Nothing may be forwarded before the batch is written. Raises :class:`~outward.core.JournalUnavailable`."""
        self.secrets = secrets
        return self._gateway.ledger.started(
            Event(
                "start",
                self._id,
                self._kind,
                request.agent,
                request.method,
                request.scheme,
                request.host,
                request.port,
                self._path(request),
                verdict.action,
                None,
                verdict.rule,
                secrets,
            )
        )

    def answered(self, status: int) -> None:
        """The answer has begun."""
        self.status = status
        self._first_byte = self._gateway.clock()

    def end(
        self, request: Request, verdict: Verdict | None, *, code: Code | None = None, error: str | None = None
    ) -> None:
        """Once, however many things go wrong at the end. ``code`` is set if the client got a refusal."""
        if self.ended:
            return
        self.ended = True
        now = self._gateway.clock()
        allowed = verdict is not None and (code is None or code in UPSTREAM_TROUBLE)
        self._gateway.ledger.ended(
            Event(
                "end",
                self._id,
                self._kind,
                request.agent,
                request.method or None,
                request.scheme or None,
                request.host or None,
                request.port or None,
                self._path(request) or None,
                "allow" if allowed else "deny",
                code,
                (verdict.rule or None) if verdict is not None else None,
                self.secrets if allowed or code is Code.PLACEHOLDER_LEAK else (),
                self.status if code is None else STATUS_OF_CODE.get(code, 403),
                self.body_in,
                self.body_out,
                (now - self._started) * 1e3,
                None if self._first_byte is None else (self._first_byte - self._started) * 1e3,
                self.address,
                error,
                self.leaks,
            )
        )

    def _path(self, request: Request) -> str:
        """The path as the journal shows it: query values go, and whatever equals a known secret."""
        if self._shown is None:
            path = f"{request.path}?{masked_query(request.query)}" if request.query else request.path
            self._shown = self._gateway.ruleset.store.mask(path)
        return self._shown
