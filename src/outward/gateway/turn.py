"""One turn of the event loop: what has arrived in it is worked on in a row, and its journal is written at once.

Between two readings of sockets the kernel and TLS push our code out of the processor's caches, and fetching it anew costs more
than running it: done in a row, the same work takes three quarters of the time, and one ``write`` serves all its records.

In a turn

1. the loop reads what there is to read, and connections keep it (:meth:`Turn.arrived`);
2. they take it up, one after the other: answers are made, requests are decided about, records are staged;
3. the records are written;
4. only now the answers are sent, and the requests go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from outward.core import JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.audit import Batch
    from outward.core import Event

MAX_KEPT: Final = 16 * 1024
"""Octets that a connection may keep until the end of a turn, which bounds the memory of a turn; more is taken up at once."""


class Recorder(Protocol):
    """What the gateway asks of its journal (:class:`~outward.audit.Journal`)."""

    def stage(self, event: Event) -> Batch:
        """Makes a record that the next :meth:`commit` writes. Raises :class:`JournalUnavailable`."""
        ...

    def commit(self) -> None:
        """Writes what is staged, all of it or nothing. Raises :class:`JournalUnavailable`."""
        ...


class Reader(Protocol):
    """A connection that has kept what arrived."""

    def take_up(self) -> None:
        """Works on it. If that fails in a way that was not foreseen, closes the connection and raises."""
        ...


class Writer(Protocol):
    """A connection that has something to send."""

    def flush(self) -> None:
        """Sends it. Raises likewise."""
        ...


class Starter(Protocol):
    """A request that must be in the journal before it goes on."""

    def recorded(self) -> None:
        """The journal was written, or could not be. Raises likewise."""
        ...


_log: Final = logging.getLogger(__name__)


def next_step(end: Callable[[], None]) -> None:
    """Calls ``end`` in the next step of the running event loop."""
    asyncio.get_running_loop().call_soon(end)


class Turn:
    """The work of the turn that is going on. It ends by itself, in the loop's next step: ``soon`` calls :meth:`end` then."""

    def __init__(
        self,
        journal: Recorder,
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._journal: Final = journal
        self._soon: Final = soon
        self._arrived: Final[deque[Reader]] = deque()
        self._writing: Final[deque[Writer]] = deque()
        self._starting: Final[deque[Starter]] = deque()
        self._scheduled = False
        self._complained = False
        self.taking_up = False
        """Whether step 2 is going on: what is sent has to wait for the journal."""

    def arrived(self, connection: Reader) -> None:
        """``connection`` has kept something."""
        self._arrived.append(connection)
        self.staged()

    def writing(self, connection: Writer) -> None:
        """``connection`` has something to send, which waits for the journal."""
        self._writing.append(connection)
        self.staged()

    def starting(self, request: Starter) -> None:
        """The record of ``request`` is staged."""
        self._starting.append(request)
        self.staged()

    def staged(self) -> None:
        """There is something to write."""
        if not self._scheduled:
            self._scheduled = True
            self._soon(self.end)

    def commit(self) -> bool:
        """Writes what is staged at once: whether that went well. A failure is known to all who wait for their batch."""
        try:
            self._journal.commit()
        except JournalUnavailable as error:
            self.complain(error)
            return False
        return True

    def complain(self, error: JournalUnavailable) -> None:
        """Says once, where the person can see it, that the journal cannot be written."""
        if not self._complained:
            self._complained = True
            _log.error("outward: %s; requests are refused until it can be written", error.message)

    def end(self) -> None:
        """Steps 2 to 4."""
        try:
            self.taking_up = True
            while self._arrived:
                self._arrived.popleft().take_up()
            self.taking_up = self._scheduled = False
            self.commit()
            while self._writing:
                self._writing.popleft().flush()
            while self._starting:
                self._starting.popleft().recorded()
        finally:
            self.taking_up = self._scheduled = False
            if self._arrived or self._writing or self._starting:
                self.staged()  # an error that was not foreseen ends one connection; the others go on
