"""Reading the journal for people: all sessions by time, filtered, start and end of a request put together."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from outward.audit.format import belongs, sessions
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from outward.audit.format import Segment

_CHUNK: Final = 1 << 16


class Record(NamedTuple):
    """One line as it stands in the file, and what it says."""

    line: bytes
    fields: dict[str, Any]

    @property
    def time(self) -> str:
        """RFC 3339, UTC, microseconds: sorts as text."""
        return str(self.fields["time"])


@dataclass(frozen=True, slots=True)
class Selection:
    """Which requests to show. ``since`` is a time as in the records; ``host`` a name, ``*`` standing for any text."""

    since: str = ""
    host: str = "*"
    denied: bool = False

    def covers(self, fields: dict[str, Any]) -> bool:
        """Whether a record, or the start and end of a request put together, is wanted."""
        return (
            fields["time"] >= self.since
            and (self.host == "*" or fnmatchcase(str(fields.get("host", "")), self.host))
            and (not self.denied or fields.get("verdict") == "deny")
        )


class Reader:
    """Reads the journals in a directory, each call of :meth:`read` from where the last one ended.

    ``unreadable`` counts the lines that are no records; ``outward audit verify`` says what is wrong with them.
    """

    def __init__(self, directory: Path, session: str | None = None) -> None:
        self._directory: Final = directory
        self._session: Final = session
        self._offsets: Final[dict[Path, int]] = {}
        self.unreadable = 0

    def read(self, young: tuple[str, str] = ("", "")) -> Iterator[Record]:
        """The records written since the last call, all sessions merged by time.

        Those whose time lies within ``young`` (after the first, up to the second) are left for a later call: a record of
        another session that comes before them may be about to be written.
        """
        streams = [
            chain.from_iterable(self._records(segment.path, young) for segment in segments)
            for segments in self._journals()
        ]
        return heapq.merge(*streams, key=lambda record: record.time)

    @property
    def empty(self) -> bool:
        """Whether there is no journal to read: a session that asked for nothing has one."""
        return not self._journals()

    def _journals(self) -> list[list[Segment]]:
        if not self._directory.is_dir():
            return []
        return [
            segments
            for session, segments in sessions(self._directory).items()
            if self._session is None or belongs(session, self._session)
        ]

    def _records(self, path: Path, young: tuple[str, str]) -> Iterator[Record]:
        for line, end in self._lines(path):
            try:
                fields = json.loads(line)
                datetime.fromisoformat(fields["time"])
                record = Record(line, fields | {"phase": str(fields["phase"])})
            except (ValueError, KeyError, TypeError, RecursionError):
                self.unreadable += 1
                self._offsets[path] = end
                continue
            if young[0] < record.time <= young[1]:
                return
            self._offsets[path] = end
            yield record

    def _lines(self, path: Path) -> Iterator[tuple[bytes, int]]:
        """The whole lines from where the last call ended, and where each ends.

        The file is open only while a piece is read: there may be many.
        """
        rest = b""
        offset = self._offsets.get(path, 0)
        while True:
            try:
                with path.open("rb") as file:
                    file.seek(offset + len(rest))
                    piece = file.read(_CHUNK)
            except FileNotFoundError:  # removed to bound the disk
                return
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                offset += len(line) + 1
                yield line, offset


def joined(records: Iterable[Record], started: dict[tuple[str, str], Record]) -> Iterator[Record]:
    """The records, each end with the fields of its start as well.

    ``started`` holds the requests that have not ended yet; hand in the same again to go on.
    """
    for record in records:
        key = (str(record.fields.get("session")), str(record.fields.get("id")))
        if record.fields["phase"] == "start":
            started[key] = record
        elif record.fields["phase"] == "end" and (start := started.pop(key, None)):
            record = record._replace(fields=start.fields | record.fields)
        yield record
