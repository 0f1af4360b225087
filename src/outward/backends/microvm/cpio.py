"""Archives for the kernel's first root file system (Documentation/driver-api/early-userspace/buffer-format.rst: ``newc``)."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_END = "TRAILER!!!"


class Entry(NamedTuple):
    """One file, or with the type in ``mode`` a directory or a symbolic link, whose text is ``content``. All belong to root."""

    path: str
    mode: int
    content: bytes = b""


def directory(path: str) -> Entry:
    """A directory."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    """A file."""
    return Entry(path, stat.S_IFREG | mode, content)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive. Parents come before what lies in them. Archives may follow each other in what a kernel gets."""
    parts = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    body = b"".join((*parts, _record(0, Entry(_END, 0))))
    return body + bytes(-len(body) % 512)


def _record(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + entry.content + bytes(-len(entry.content) % 4)
