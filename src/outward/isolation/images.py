"""Root file systems for sandboxes that have no engine: where ``--image`` leads, and what of it has been unpacked.

An image is the archive that ``outward image build`` has made, another tar file, or a directory. An archive is unpacked once:
to a *root* that is named by its digest, beside those that were made of the same file before, and that nobody writes to again.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.isolation.unpacking import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT: Final = "outward:latest"
"""The name of what ``outward image build`` makes."""
_BUILT_SHORT: Final = BUILT.partition(":")[0]
"""As engines understand it, too."""

ARCHIVE: Final = "image.tar"
"""Its file in the directory of images."""

_ROOTS: Final = "roots"
_RECORD: Final = "unpacked.json"
_DRAFT: Final = "draft"
_PINNED: Final = "@sha256:"
_LAYERS: Final = frozenset({"manifest.json", "oci-layout"})
"""What lies at the top of an archive of layers."""


class Image(NamedTuple):
    """``source`` is the archive or directory that was asked for as ``name``. ``pinned`` is the digest that it has to have.
    ``store`` is the directory of images."""

    name: str
    source: Path
    pinned: str | None
    store: Path

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """The root directory, which stays until the context ends. It is to be shown read-only, and its links are for those who
        have it as their root. Raises :class:`HostError`.
        """
        if self.source.is_dir():
            yield self.source
            return
        try:
            descriptor = self._open()
        except OSError as error:
            raise HostError(f"cannot unpack {self.source}: {error.strerror}") from error
        try:
            yield Path(f"/proc/self/fd/{descriptor}").readlink()
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """The root as a descriptor: while it is open, others do not remove it."""
        key = hashlib.sha256(os.fsencode(self.source)).hexdigest()[:20]
        place = self.store / _ROOTS / key
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(own, fcntl.LOCK_EX)  # one unpacks, the others wait
            root = self._root(place)
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            _sweep(place, root)
            return descriptor
        finally:
            os.close(own)

    def _root(self, place: Path) -> Path:
        record = place / _RECORD
        # A pipe would wait for a writer.
        with os.fdopen(os.open(self.source, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise HostError(f"{self.source} is neither a file nor a directory")
            known = [str(self.source), *_identity(status)]
            with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # nothing is kept, or it cannot be read
                kept = json.loads(record.read_text())
                if kept["of"] == known and (root := place / _name(kept["digest"])).is_dir():
                    self._check(kept["digest"])
                    return root
            digest = self._unpack(file, place / _DRAFT)
            if _identity(os.fstat(file.fileno())) != known[1:]:
                raise HostError(f"{self.source} was changed while it was read", hint="Do it again.")
        root = place / _name(digest)
        if root.is_dir():  # the file is another one, and holds the same
            shutil.rmtree(place / _DRAFT)
        else:
            os.sync()  # what has this name is whole, also after the power has failed
            (place / _DRAFT).rename(root)
        draft = record.with_name(f".{_RECORD}")
        draft.write_text(json.dumps({"of": known, "digest": digest}))
        draft.replace(record)
        return root

    def _unpack(self, file: io.FileIO, draft: Path) -> str:
        """The digest of what was unpacked."""
        if draft.exists():  # somebody was interrupted
            shutil.rmtree(draft)
        draft.mkdir(mode=0o755)
        hashing = _Hashing(file)
        try:
            unpack(io.BufferedReader(hashing, 1 << 20), draft)
            self._check(hashing.digest)
            if _LAYERS & (there := {path.name for path in draft.iterdir()}) and not {"bin", "usr"} & there:
                raise HostError(
                    f"{self.source} is an archive of layers, not of a root file system",
                    hint="Let docker or podman unpack it: `docker export CONTAINER` instead of `docker save IMAGE`.",
                )
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return hashing.digest

    def _check(self, digest: str) -> None:
        if self.pinned not in (None, digest):
            raise HostError(f"{self.source} is not what was asked for: its digest is sha256:{digest}")


def find(name: str, store: Path) -> Image:
    """The image ``name``: that of ``outward image build`` in the directory ``store``, or a path; with ``@sha256:DIGEST`` after
    it, no other than that. Raises :class:`HostError` with the way out where there is none.
    """
    plain, pin, digest = name.partition(_PINNED)
    if pin and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise HostError(f"{name}: a digest is 64 hexadecimal digits")
    built = plain in (BUILT, _BUILT_SHORT)
    source = store / ARCHIVE if built else Path(plain)
    if not source.exists():
        made = "Make it: outward image build --engine gvisor (or microvm)"
        other = f"An image is {BUILT} (outward image build), a directory, or a tar file as `docker export` writes it."
        raise HostError(f"there is no image {plain}", hint=made if built else other)
    source = source.resolve()
    if pin and source.is_dir():
        raise HostError(f"{source} is a directory, which has no digest", hint="Pack it: tar -C DIRECTORY -cf FILE .")
    return Image(name, source, digest or None, store)


class _Hashing(io.RawIOBase):
    """A file whose digest is known once it has been read to its end."""

    def __init__(self, file: io.FileIO) -> None:
        self._file: Final = file
        self._hash: Final = hashlib.sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of the file."""
        count = self._file.readinto(buffer)
        self._hash.update(memoryview(buffer)[:count])
        return count

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal digits, of what was read."""
        return self._hash.hexdigest()


def _identity(status: os.stat_result) -> list[int]:
    """The same for the same content, as far as a file's own data tell."""
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _name(digest: str) -> str:
    return f"root-{digest}"


def _sweep(place: Path, kept: Path) -> None:
    """Removes the other roots, unless somebody uses them: what their file was is gone."""
    for root in place.glob(_name("*")):
        if root != kept:
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root)
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)
