"""The almost empty root directory of a container that shows the host's own programs."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from outward.backends.containers.mounts import Entry


def digest(entries: Iterable[Entry]) -> str:
    """A name for a tree: the same for the same entries."""
    return hashlib.sha256(repr(tuple(entries)).encode()).hexdigest()[:20]


def archive(entries: Iterable[Entry]) -> bytes:
    """The tree as a tar file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for entry in entries:
            info = tarfile.TarInfo(entry.path.lstrip("/"))
            info.mode = entry.mode if entry.directory else 0o644
            if entry.text:
                info.type, info.linkname = tarfile.SYMTYPE, entry.text
            elif entry.directory:
                info.type = tarfile.DIRTYPE
            file.addfile(info)
    return content.getvalue()


def make(entries: Iterable[Entry], directory: Path) -> Path:
    """The tree below ``directory``, made once. Raises :class:`HostError` where it cannot be written."""
    entries = tuple(entries)
    root = directory / digest(entries)
    if root.is_dir():
        return root
    draft = directory / f".{root.name}.{os.getpid()}"
    try:
        draft.mkdir(mode=0o755, parents=True)
        draft.chmod(0o755)
        for entry in entries:
            path = draft / entry.path.lstrip("/")
            if entry.text:
                path.symlink_to(entry.text)
            elif entry.directory:
                path.mkdir()
                path.chmod(entry.mode)
            else:
                path.touch(0o644)
        draft.rename(root)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not root.is_dir():  # another start was quicker
            raise HostError(f"cannot write {root}: {error.strerror}") from error
    return root
