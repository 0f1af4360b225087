"""Where a session's journal stands: a new one begins, an interrupted one goes on after its last whole record."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from outward.audit.format import GENESIS, file_name, segments, unseal
from outward.audit.locking import take
from outward.core import HostError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_TAIL: Final = 1 << 20
"""Octets read from the end of a file to find its last record: more than the longest one takes."""


class Position(NamedTuple):
    """An open and locked file, its number and size, the last record's number and hash, the octets of a torn record."""

    descriptor: int
    number: int
    size: int
    seq: int
    prev: str
    torn: int


class Last(NamedTuple):
    """The end of a file: number and hash of its last record, where that ends, and the octets that follow it."""

    seq: int
    digest: str
    end: int
    torn: int


def resume(directory: Path, session: str) -> Position:
    """Opens the newest file of ``session``, made if there is none. Raises :class:`HostError` and ``OSError``."""
    numbers = [segment.number for segment in segments(directory, session)] or [0]
    descriptor = take(directory / file_name(session, numbers[-1]))
    try:
        last = _last_record(descriptor)
        if last.torn:
            os.ftruncate(descriptor, last.end)
        if not last.end and numbers[-1]:
            # The writer was killed between making this file and writing to it: the chain goes on from the one before.
            seq, digest, *_ = last_record(directory / file_name(session, numbers[-1] - 1))
        else:
            seq, digest = last.seq, last.digest
    except BaseException:
        os.close(descriptor)
        raise
    return Position(descriptor, numbers[-1], last.end, seq, digest, last.torn)


def last_record(path: Path) -> Last:
    """The last whole record of a file. Raises :class:`HostError` if it is broken."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return _last_record(descriptor)
    finally:
        os.close(descriptor)


def _last_record(descriptor: int) -> Last:
    start = max(0, os.fstat(descriptor).st_size - _TAIL)
    tail = os.pread(descriptor, _TAIL, start)
    end = tail.rfind(b"\n") + 1
    torn = len(tail) - end
    if not end and not start:
        return Last(0, GENESIS, 0, torn)
    opened = unseal(tail[tail.rfind(b"\n", 0, max(0, end - 1)) + 1 : max(0, end - 1)])
    if opened is None:
        raise HostError("the journal does not end in a record", hint="Find out why: outward audit verify")
    return Last(int(json.loads(opened[0])["seq"]), opened[1], start + end, torn)
