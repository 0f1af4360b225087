"""Writing the journal: whole records, or an error that keeps the requests that they are about from being forwarded."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, NoReturn, Self

from outward.audit.encoding import encode, quote
from outward.audit.format import PRUNED, REPAIRED, file_name, is_session_name, seal
from outward.audit.locking import create, exclusive, prepare
from outward.audit.resume import Position, resume
from outward.audit.retention import superfluous
from outward.core import Event, HostError, JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

LIMIT_BYTES: Final = 1 << 30
"""What all sessions of a directory may take; the oldest go first."""
FILE_BYTES: Final = 64 << 20
"""Size at which a session goes on in a new file."""
_CLOSED: Final = -1


class Batch:
    """Records that are written together. ``written`` is all that a request may go by: nothing else lets it be forwarded."""

    __slots__ = ("error", "lines", "written")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.written = False
        self.error: JournalUnavailable | None = None


class Journal:
    """The journal of one session. A context manager, for use by one thread.

    Records are staged, and written by :meth:`commit` all at once: what happens in one turn of an event loop costs one
    ``write``. The kernel has them when it returns: they survive the death of this process, though not of the machine. A failed
    write is undone, so that what is on disk is always whole records; when even that fails, nothing is written any more before
    it has succeeded.
    """

    def __init__(self, directory: Path, session: str, position: Position, limit_bytes: int, file_bytes: int) -> None:
        self._directory: Final = directory
        self._session: Final = session
        self._quoted_session: Final = quote(session)
        self._limit_bytes: Final = limit_bytes
        self._file_bytes: Final = file_bytes
        self._descriptor, self._number, self._size, self._seq, self._prev, self._removed = position
        self._last = self._seq, self._prev  # of the last record that was written
        self._batch = Batch()
        self._torn = False
        self._room = False
        self._second = 0
        self._time_prefix = ""

    @classmethod
    def open(
        cls, directory: Path, *, session: str, limit_bytes: int = LIMIT_BYTES, file_bytes: int = FILE_BYTES
    ) -> Self:
        """Starts, or goes on with, the journal of ``session`` (letters, digits, ``-``, ``_``) in ``directory``.

        A record that a killed writer left unfinished is removed, and a note says so. Raises :class:`HostError` when the
        files cannot be used, belong to somebody else, are being written by another process, or end in a broken record.
        """
        if not is_session_name(session):
            raise HostError(f"{session!r} cannot name a session", hint="Use letters, digits, - and _.")
        try:
            prepare(directory)
            with exclusive(directory):
                journal = cls(directory, session, resume(directory, session), limit_bytes, file_bytes)
        except OSError as error:
            raise HostError(
                f"cannot write the journal in {directory}: {error.strerror or error}",
                hint="Nothing is forwarded without a journal. Free some space, or set OUTWARD_HOME to a place of your own.",
            ) from error
        journal._begin()
        return journal

    def append(self, event: Event) -> None:
        """Writes one record, and what is staged. Raises :class:`JournalUnavailable`, and then none of it is in the journal."""
        self.stage(event)
        self.commit()

    def stage(self, event: Event) -> Batch:
        """Makes a record that the next :meth:`commit` writes. Raises :class:`JournalUnavailable`, and then it never will be."""
        if self._size >= self._file_bytes and not self._batch.lines:
            self._rotate()
        return self._stage(event)

    def commit(self) -> None:
        """Writes what is staged. Raises :class:`JournalUnavailable`, and then none of it is in the journal."""
        batch = self._batch
        if not batch.lines:
            return
        self._batch = Batch()
        text = b"".join(batch.lines)
        batch.lines.clear()  # those who wait for the batch may keep it for long
        try:
            self._write(text)
        except JournalUnavailable as error:
            batch.error = error
            self._seq, self._prev = self._last
            raise
        batch.written = True
        self._size += len(text)
        self._last = self._seq, self._prev

    def close(self) -> None:
        """Writes what is staged, if it can, and closes the file. Harmless when closed already."""
        if self._descriptor != _CLOSED:
            with contextlib.suppress(JournalUnavailable):
                self.commit()
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        try:
            if self._removed:
                self._note(Event("note", "", REPAIRED, "", bytes_in=self._removed))
        except BaseException:
            self.close()
            raise

    def _note(self, event: Event) -> None:
        self._stage(event)
        self.commit()

    def _stage(self, event: Event) -> Batch:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second or self._torn:
            self._every_second(seconds)
        moment = f"{self._time_prefix}{str(1_000_000 + nanoseconds // 1000)[1:]}Z"
        line, self._prev = seal(encode(self._seq + 1, moment, self._quoted_session, event, self._prev))
        self._seq += 1
        self._batch.lines.append(line)
        return self._batch

    def _write(self, text: bytes) -> None:
        try:
            written = os.write(self._descriptor, text)
        except OSError as error:
            self._undo(error.strerror or str(error))
        if written != len(text):
            self._undo("only a part could be written")

    def _every_second(self, seconds: int) -> None:
        """What need not be done for every record: the time to the second, whether the file is still ours alone, and before the
        first that others make room: a session of none asks nothing of what may be thousands of files."""
        if not self._room:
            self._make_room()
        if self._torn:
            self._truncate()
        try:
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise self._unavailable(error.strerror or str(error)) from error
        if status.st_nlink != 1 or status.st_size != self._size:
            raise self._unavailable("somebody else removed or changed it")
        self._second = seconds
        self._time_prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))

    def _undo(self, reason: str) -> NoReturn:
        self._torn = True
        with contextlib.suppress(JournalUnavailable):
            self._truncate()
        raise self._unavailable(reason)

    def _truncate(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            raise self._unavailable(error.strerror or str(error)) from error
        self._torn = False

    def _rotate(self) -> None:
        with self._alone():
            descriptor = create(self._directory / file_name(self._session, self._number + 1))
            os.close(self._descriptor)
            self._descriptor, self._number, self._size, self._room = descriptor, self._number + 1, 0, False
        self._make_room()

    def _make_room(self) -> None:
        """For the file that is being written. Each removal is recorded before it is done."""
        self._room = True  # so that the record of it is written
        try:
            with self._alone():
                room = self._limit_bytes - self._file_bytes
                for doomed in superfluous(self._directory, self._session, self._number, room):
                    self._note(Event("note", doomed.last_seq, PRUNED, "", path=doomed.path.name))
                    doomed.path.unlink(missing_ok=True)
        except JournalUnavailable:
            self._room = False
            self._second = 0  # the next record tries again
            raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While files are made and removed. Raises :class:`JournalUnavailable` where they cannot be."""
        try:
            with exclusive(self._directory):
                yield
        except OSError as error:
            raise self._unavailable(error.strerror or str(error)) from error
        except HostError as error:
            raise self._unavailable(error.message) from error

    def _unavailable(self, reason: str) -> JournalUnavailable:
        return JournalUnavailable(
            f"cannot write the journal {self._directory / file_name(self._session, self._number)}: {reason}",
            hint="Nothing is forwarded without a journal: free some disk space, or start again.",
        )
