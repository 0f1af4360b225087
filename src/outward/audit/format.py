"""The format on disk: the seal of a record and the names of files. Specified in ``docs/audit.md``."""

from __future__ import annotations

import os
import re
import time
from functools import cache
from pathlib import Path  # noqa: TC003 (compiled, a named tuple looks its types up)
from typing import TYPE_CHECKING, Final

from outward.core.expressions import expression
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash

GENESIS: Final = "0" * 64
"""What stands for the hash before the first record of a session."""
PRUNED: Final = "journal.pruned"
"""Kind of the note that a file was removed to bound the disk: ``path`` is its name, ``id`` its last sequence number."""
REPAIRED: Final = "journal.repaired"
"""Kind of the note that a record was cut short by the end of its writer, and removed."""

_SEAL: Final = expression(rb',"hash":"([0-9a-f]{64})"\}')
_SEAL_LENGTH: Final = len(b',"hash":""}') + 64
_SESSION: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
_WORKER: Final = expression(r"(.+)-w[1-9][0-9]*", re.ASCII)
_NAME: Final = expression(rf"({_SESSION})(?:\.([1-9][0-9]{{0,8}}))?\.jsonl", re.ASCII)


@cache
def _sha256() -> Callable[[bytes], _Hash]:
    from hashlib import sha256  # here: it loads OpenSSL's library, which a start does not wait for

    return sha256


def seal(body: str) -> tuple[bytes, str]:
    """The line of a record and its hash, from the record's ASCII text without ``hash`` and closing brace.

    The hash is SHA-256 over the record as it would stand without it: ``body`` and a closing brace.
    """
    digest = _sha256()(f"{body}}}".encode("ascii")).hexdigest()
    return f'{body},"hash":"{digest}"}}\n'.encode("ascii"), digest


def unseal(line: bytes) -> tuple[bytes, str] | None:
    """The record without its hash, and the hash if it is the right one; ``line`` without its line feed."""
    match = _SEAL.fullmatch(line, max(0, len(line) - _SEAL_LENGTH))
    if match is None:
        return None
    text = line[:-_SEAL_LENGTH] + b"}"
    digest = match[1].decode("ascii")
    return (text, digest) if _sha256()(text).hexdigest() == digest else None


def holds_seal(line: bytes) -> bool:
    """Whether a seal stands anywhere in ``line``: a record that was cut short has none."""
    return _SEAL.search(line) is not None


class Segment(NamedTuple):
    """One file of a session; ``number`` counts from 0."""

    number: int
    path: Path


def new_session(kind: str = "") -> str:
    """A name for a session: sorts by time within its ``kind``, and cannot be guessed."""
    return f"{kind}{time.strftime('%Y%m%dT%H%M%S')}-{os.urandom(4).hex()}"


def worker_session(session: str, number: int) -> str:
    """The name under which worker ``number`` (from 1) of ``session`` keeps its own chain."""
    return f"{session}-w{number}"


def belongs(session: str, whole: str) -> bool:
    """Whether ``session`` is ``whole``, or one of its workers."""
    worker = _WORKER.fullmatch(session)
    return session == whole or (worker is not None and worker[1] == whole)


def is_session_name(session: str) -> bool:
    """Whether ``session`` can name files: letters, digits, ``-`` and ``_``, at most 100."""
    return re.fullmatch(_SESSION, session, re.ASCII) is not None


def file_name(session: str, number: int) -> str:
    """The name of a session's file."""
    return f"{session}.{number}.jsonl" if number else f"{session}.jsonl"


def parse_file_name(name: str) -> tuple[str, int] | None:
    """The session and number of a file, if ``name`` is one of a journal's."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2] or 0)) if match else None


def segments(directory: Path, session: str) -> list[Segment]:
    """The files of one session in ``directory``, in the order in which they were written."""
    names = (name for name in os.listdir(directory) if name.startswith(session))  # noqa: PTH208 (there are thousands)
    parsed = ((parse_file_name(name), name) for name in names)
    return sorted(Segment(of[1], directory / name) for of, name in parsed if of is not None and of[0] == session)


def sessions(directory: Path) -> dict[str, list[Segment]]:
    """The files of each session in ``directory``, in the order in which they were written."""
    found: dict[str, list[Segment]] = {}
    for path in directory.iterdir():
        if parsed := parse_file_name(path.name):
            found.setdefault(parsed[0], []).append(Segment(parsed[1], path))
    for segments in found.values():
        segments.sort()
    return found
