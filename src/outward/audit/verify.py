"""Checking the chain. ``docs/audit.md`` says what it proves, and what it cannot."""

from __future__ import annotations

import json
from operator import index
from typing import TYPE_CHECKING, Any

from outward.audit.format import GENESIS, PRUNED, Segment, holds_seal, parse_file_name, sessions, unseal
from outward.core import OutwardError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Broken(NamedTuple):
    """The first record that is not as it was written: its file, its line from 1, and what is wrong."""

    file: Path
    line: int
    reason: str


class Report(NamedTuple):
    """The outcome. ``heads`` are the last hashes of the sessions: whoever keeps them elsewhere sees a cut-off end, too."""

    files: int
    records: int
    broken: Broken | None
    notes: tuple[str, ...]
    heads: dict[str, str]


def verify(path: Path) -> Report:
    """Checks every session of a directory, or one file (from the file before it on, if that is there).

    A last line without its line feed is a record whose writer was killed: a note, not a fault, in the newest file of a
    session. Anything else that the writer did not write is a fault. Raises :class:`OutwardError` for what cannot be read.
    """
    try:
        return _verify(path)
    except OSError as error:
        raise OutwardError(f"cannot read the journal {error.filename or path}: {error.strerror or error}") from error


def _verify(path: Path) -> Report:
    if path.is_dir():
        every = sessions(path)
    else:
        session, number = parse_file_name(path.name) or (path.name, 0)
        every = {session: [Segment(number, path)]}
    files = records = 0
    notes: list[str] = []
    heads: dict[str, str] = {}
    broken: Broken | None = None
    for session, segments in sorted(every.items()):
        chain = _Chain(segments, whole=path.is_dir())
        fault = chain.check()
        broken = broken or fault
        files += len(segments)
        records += chain.records
        notes += chain.notes
        heads[session] = chain.digest
    return Report(files, records, broken, tuple(notes), heads)


class _Chain:
    """One session, followed from file to file."""

    def __init__(self, segments: list[Segment], *, whole: bool) -> None:
        self._segments = segments
        self._whole = whole
        self._session: str | None = None
        self._first = 1
        self._pruned: set[str] = set()
        self.seq = 0
        self.digest = GENESIS
        self.records = 0
        self.notes: list[str] = []
        self._known = segments[0].number == 0
        """Whether it is known what the first record must follow."""

    def check(self) -> Broken | None:
        for segment in self._segments:
            if fault := self._check_file(segment):
                return fault
        first = self._segments[0]
        if first.number and not self._whole:
            self.notes.append(f"{first.path.name} goes on from an earlier file, which was not looked at")
        elif self._first != 1:
            if str(self._first - 1) not in self._pruned:
                return Broken(first.path, 1, f"the records before {self._first} are missing, and none says why")
            self.notes.append(f"{first.path.name}: records before {self._first} were removed to bound the disk")
        return None

    def _check_file(self, segment: Segment) -> Broken | None:
        with segment.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    fault = self._follow(line[:-1])
                elif segment is self._segments[-1]:
                    fault = self._torn(line, f"{segment.path.name}:{number}")
                else:
                    fault = "the line does not end"
                if fault:
                    return Broken(segment.path, number, fault)
        return None

    def _follow(self, line: bytes) -> str | None:
        """What is wrong with the next record, if anything."""
        opened = unseal(line)
        if opened is None:
            return "the record does not match its hash"
        try:
            record: dict[str, Any] = json.loads(opened[0])
            seq, prev, session = index(record["seq"]), str(record["prev"]), str(record["session"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return "the line is not a record"
        if not self._known:
            self._known = True
            self._first, self.seq, self.digest = seq, seq - 1, prev
        if seq != self.seq + 1:
            return f"record {self.seq + 1} is expected here, this is {seq}"
        if prev != self.digest:
            return f"record {seq} does not follow the record before it"
        if session != (self._session or session):
            return f"record {seq} belongs to another session"
        self._session, self.seq, self.digest = session, seq, opened[1]
        self.records += 1
        if record.get("kind") == PRUNED:
            self._pruned.add(str(record.get("id")))
        return None

    def _torn(self, line: bytes, where: str) -> str | None:
        """What is wrong with a last line that has no line feed, if it is anything but a record cut short."""
        begin = b'{"seq":%d,"time":"' % (self.seq + 1)
        if holds_seal(line):
            fault = self._follow(line)
            if fault:
                return fault
        elif not (line.startswith(begin) or begin.startswith(line)):
            return "the line is not the beginning of a record"
        self.notes.append(f"{where}: the last record is incomplete; its writer was killed")
        return None
