"""``--debug``: each record of the journal is told as it is made, in a line. It says what the journal says, so no secret."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward.core.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.audit.journal import Batch, Journal
    from outward.core import Event


class Telling:
    """A journal that tells. What cannot be told is recorded all the same."""

    def __init__(self, journal: Journal, tell: Callable[[str], None]) -> None:
        self._journal: Final = journal
        self._tell: Final = tell

    def stage(self, event: Event) -> Batch:
        """See :meth:`Journal.stage`."""
        batch = self._journal.stage(event)
        with suppress(OSError):
            self._tell(line_of(event))
        return batch

    def commit(self) -> None:
        """See :meth:`Journal.commit`."""
        self._journal.commit()


def line_of(event: Event) -> str:
    """``event`` for a person; what a terminal would take for an order is escaped."""
    target = f"{event.method or '-'} {event.scheme or '-'}://{event.host or '-'}:{event.port or 0}{event.path or ''}"
    parts = [f"{event.id} {event.phase} {event.kind} of {event.agent}: {target}"]
    if event.verdict is not None:
        parts.append(f"{event.verdict} by {event.rule}" if event.rule else event.verdict)
    if event.code is not None:
        parts.append(event.code)
    if event.secrets:
        parts.append(f"with {', '.join(event.secrets)}")
    if event.leaks:
        parts.append(f"placeholders seen: {', '.join(event.leaks)}")
    if event.address is not None:
        parts.append(f"sent to {event.address}")
    if event.status is not None:
        parts.append(f"status {event.status}")
    if event.duration_ms is not None:
        first = "" if event.ttfb_ms is None else f", the first octet after {event.ttfb_ms:.1f}"
        parts.append(f"{event.bytes_in or 0} octets in, {event.bytes_out or 0} out, {event.duration_ms:.1f} ms{first}")
    if event.error is not None:
        parts.append(event.error)
    return printable("; ".join(parts))
