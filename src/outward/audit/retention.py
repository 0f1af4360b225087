"""Which files go when the journals of all sessions take more room than they may."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from outward.audit.format import sessions
from outward.audit.locking import is_written
from outward.audit.resume import last_record
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Doomed(NamedTuple):
    """A file to remove; ``last_seq`` is set where the session goes on, since its chain then begins after that record."""

    path: Path
    last_seq: str = ""


def superfluous(directory: Path, session: str, number: int, room: int) -> Iterator[Doomed]:
    """The files to remove until ``room`` octets suffice for all.

    Finished sessions go first, the longest untouched first, and whole: half a chain proves little. If that is not enough,
    the oldest files of ``session`` itself go, but never file ``number``, which is being written.
    """
    if _taken(directory) <= room:
        return
    every = sessions(directory)
    own = every.pop(session, [])
    sizes = {segment.path: _status(segment.path) for segments in [own, *every.values()] for segment in segments}
    excess = sum(size for size, _ in sizes.values()) - room
    for segments in sorted(every.values(), key=lambda segments: sizes[segments[-1].path][1]):
        if excess <= 0:
            return
        if not is_written(segments[-1].path):
            yield from (Doomed(segment.path) for segment in segments)
            excess -= sum(sizes[segment.path][0] for segment in segments)
    for segment in own:
        if excess <= 0 or segment.number == number:
            return
        yield Doomed(segment.path, str(last_record(segment.path).seq))
        excess -= sizes[segment.path][0]


def _taken(directory: Path) -> int:
    """What all files take: asked at every start, of thousands of files perhaps, before anything is asked of one."""
    octets = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another session makes room at the same time
                octets += entry.stat(follow_symlinks=False).st_size
    return octets


def _status(path: Path) -> tuple[int, int]:
    try:
        status = path.stat(follow_symlinks=False)
    except FileNotFoundError:  # another session makes room at the same time
        return 0, 0
    return status.st_size, status.st_mtime_ns
