"""What a gateway keeps of its exchanges: identities, records, and the summary of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import JournalUnavailable, Refusal

if TYPE_CHECKING:
    from outward.audit import Batch
    from outward.core import Event
    from outward.core.summary import Summary
    from outward.gateway.turn import Recorder, Turn

MAX_REFUSED: Final = 1000


class Ledger:
    """Where the records of exchanges go (:class:`~outward.gateway.record.Record`)."""

    def __init__(self, journal: Recorder, turn: Turn, summary: Summary, ids: str) -> None:
        self._journal: Final = journal
        self._turn: Final = turn
        self._summary: Final = summary
        self._ids: Final = ids
        self._count = 0

    def next_id(self) -> str:
        """The identity of an exchange, unique within the session."""
        self._count += 1
        return f"{self._ids}{self._count:08x}"

    def started(self, event: Event) -> Batch:
        """Stages the record of a start. Raises :class:`~outward.core.JournalUnavailable`."""
        return self._journal.stage(event)

    def ended(self, event: Event) -> None:
        """Records the end of an exchange. It is over: a journal that fails now stops the next one, at its start."""
        summary = self._summary
        summary.requests += 1
        summary.bytes_in += event.bytes_in or 0
        summary.bytes_out += event.bytes_out or 0
        if event.code is not None:
            self._refused(event, event.code)
        try:
            self._journal.stage(event)
        except JournalUnavailable as error:
            self._turn.complain(error)
            return
        if event.code is None:
            self._turn.staged()
        else:
            self._turn.commit()  # a refusal is in the journal before anybody is told

    def asked(self, event: Event) -> None:
        """Stages the record of a question for a name: no request, but a refusal counts as one.

        Raises :class:`~outward.core.JournalUnavailable`.
        """
        self._journal.stage(event)
        self._turn.staged()
        if event.code is not None:
            self._refused(event, event.code)

    def _refused(self, event: Event, code: str) -> None:
        counter = self._summary.refused if event.verdict == "deny" else self._summary.failed
        path = (event.path or "").partition("?")[0]
        refusal = Refusal(code, event.method or "", event.scheme or "", event.host or "", event.port or 0, path)
        if refusal in counter or len(counter) < MAX_REFUSED:
            counter[refusal] += 1
