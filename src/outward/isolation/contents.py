"""Files of ours on the host, to be mounted: each is named by the hash of its content, and made once."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward.core import HostError

if TYPE_CHECKING:
    from pathlib import Path


class Contents:
    """The files in ``directory``, which only their owner can read. They hold no secrets: they outlive the sandbox."""

    def __init__(self, directory: Path) -> None:
        self._directory: Final = directory

    def hold(self, content: bytes) -> str:
        """The path of a file with this content. Raises :class:`HostError` where it cannot be written."""
        path = self._directory / hashlib.sha256(content).hexdigest()
        with suppress(FileNotFoundError):
            if path.read_bytes() == content:
                return str(path)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.chmod(0o444)
            draft.replace(path)
        except OSError as error:
            raise HostError(f"cannot write {path}: {error.strerror}") from error
        return str(path)
