"""Reading a tar archive of a root file system into a directory, whoever made it.

What an archive names is made in a directory that nobody else writes to, and never through a link: a name leads only through
directories that the same archive has made. Owners, set-user-id bits and extended attributes are not taken over. Links of the
result mean what they mean inside: nobody may follow them out here.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Final, cast

from outward.core import HostError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path
    from tarfile import TarFile, TarInfo

_OTHERS: Final = frozenset({"dev", "proc", "sys"})
"""What lies in these is not the image's: sandboxes have their own."""

_ENTRIES: Final = 1_000_000
_OCTETS: Final = 64 << 30
"""More than any image has. A small file can stand for far more."""

_LATEST: Final = 1 << 33
"""A time, in seconds since 1970, that every file system can keep."""

_END: Final = 1024
"""Octets of zero at the end of an archive (POSIX.1-2017, pax, "ustar Interchange Format"). Without them it is cut off."""

_CHUNK: Final = 1 << 20
_KNOWN: Final = (
    "It has to be a tar file of a root file system, as `docker export` writes; gzip, bzip2 and xz are known."
)


class _Refused(Exception):
    """What is wrong with the archive."""


def unpack(archive: BufferedReader, root: Path) -> None:
    """Makes what ``archive`` holds (tar, also compressed) in the empty directory ``root``, and reads it to its end.

    Raises :class:`HostError` for an archive that is damaged, cut off, or would reach beyond ``root``, and where it cannot be
    written. Then there may be anything in ``root``: it is the caller's to remove.
    """
    try:
        content = _Ending(_decompressed(archive))
        with tarfile.open(fileobj=cast("IO[bytes]", content), mode="r|", bufsize=_CHUNK) as tar:
            _Tree(root).take(tar)
        content.finish()
        while archive.read(_CHUNK):
            pass
    except _Refused as error:
        raise HostError(f"the image is not unpacked: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError) as error:
        raise HostError(f"the image cannot be read: {error}", hint=_KNOWN) from error
    except OSError as error:  # also what decompressors say of damage
        raise HostError(f"the image is not unpacked: {error.strerror or error}") from error


def _decompressed(archive: BufferedReader) -> IO[bytes]:
    beginning = archive.peek(6)
    if beginning.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(archive))
    if beginning.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(archive))
    if beginning.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.open(archive))
    return archive


class _Ending:
    """Counts what is read, and looks at how it ends."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content: Final = content
        self._octets = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        """Up to ``size`` octets."""
        chunk = self._content.read(size)
        self._octets += len(chunk)
        if self._octets > _OCTETS:
            raise _Refused(f"it has more than {_OCTETS >> 30} GiB")
        self._last = (self._last + chunk[-_END:])[-_END:]
        return chunk

    def finish(self) -> None:
        """Reads the rest, which is to be padding."""
        while self.read(_CHUNK):
            pass
        if self._last != bytes(_END):
            raise _Refused("it is cut off")


class _Tree:
    """What has been made so far in ``root``, by its path there."""

    def __init__(self, root: Path) -> None:
        self._root: Final = root
        self._directories: Final = {""}
        self._files: Final[set[str]] = set()
        self._links: Final[set[str]] = set()

    def take(self, tar: TarFile) -> None:
        """Makes everything."""
        count = 0
        while (member := tar.next()) is not None:
            count += 1
            if count > _ENTRIES:
                raise _Refused(f"it has more than {_ENTRIES} entries")
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            path = _plain(member.name)
            if path.partition("/")[0] in _OTHERS and "/" in path:
                continue
            self._make(tar, member, path)

    def _make(self, tar: TarFile, member: TarInfo, path: str) -> None:
        if member.isdir():
            self._make_directory(path, member.mode)
            return
        parent, _, _ = path.rpartition("/")
        self._make_directory(parent)
        if path in self._directories or path in self._files or path in self._links:
            raise _Refused(f"{path!r} comes twice")
        if member.issym():
            _stay_below(path, member.linkname)
            self._place(path).symlink_to(member.linkname)
            self._links.add(path)
        elif member.islnk():
            target = _plain(member.linkname)
            if target not in self._files:
                raise _Refused(f"{path!r} is a link to {target!r}, which is no file of it")
            os.link(self._place(target), self._place(path), follow_symlinks=False)
            self._files.add(path)
        elif member.isreg() and member.size >= 0 and not member.issparse():
            self._write(tar, member, path)
            self._files.add(path)
        else:
            raise _Refused(f"{path!r} is neither a file, a directory nor a link")

    def _make_directory(self, path: str, mode: int | None = None) -> None:
        """And those above it. Their owner may always enter them and write there: it has to be filled, and once removed."""
        if path not in self._directories:
            if path in self._files or path in self._links:
                raise _Refused(f"{path!r} leads through something that is no directory")
            self._make_directory(path.rpartition("/")[0])
            self._place(path).mkdir(0o755)
            self._directories.add(path)
        if mode is not None:
            self._place(path).chmod(mode & 0o777 | 0o700)

    def _write(self, tar: TarFile, member: TarInfo, path: str) -> None:
        source = tar.extractfile(member)
        assert source is not None  # it is a file
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with source, os.fdopen(os.open(self._place(path), flags, 0o600), "wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
            file.flush()
            os.fchmod(file.fileno(), member.mode & 0o777 | 0o400)
            time = min(max(int(member.mtime), 0), _LATEST)  # compiled Python remembers its source's
            os.utime(file.fileno(), (time, time))

    def _place(self, path: str) -> Path:
        return self._root / path


def _plain(name: str) -> str:
    """``name`` as a path below the root, without ``.``; the root itself is empty."""
    parts = name.split("/")
    if (not parts[0] and name) or ".." in parts or "\0" in name:
        raise _Refused(f"the name {name!r} leads elsewhere")
    return "/".join(part for part in parts if part not in ("", "."))


def _stay_below(path: str, target: str) -> None:
    """Inside, an absolute target begins at the root of the image. A relative one that climbs past it has no business here."""
    if not target or "\0" in target:
        raise _Refused(f"{path!r} is a link to nothing")
    depth = 0 if target.startswith("/") else path.count("/")
    for part in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            raise _Refused(f"{path!r} is a link that leads out of it")
