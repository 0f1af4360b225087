"""Answers about this machine's programs that take long to get: each is kept in a file of ours until it is about others."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward.core import HostError

if TYPE_CHECKING:
    from pathlib import Path


class Answer:
    """An answer in ``file`` about what ``about`` names, a text without line breaks."""

    def __init__(self, file: Path, about: str) -> None:
        self._file: Final = file
        self._about: Final = about

    def kept(self) -> str | None:
        """The answer, if it was given before; whoever knows what answers there are has to look whether it is one."""
        with suppress(OSError, ValueError):  # nothing is kept yet, or nothing that can be read
            about, line, answer = self._file.read_text().partition("\n")
            if about == self._about and line:
                return answer
        return None

    def keep(self, answer: str) -> None:
        """For the next time. Raises :class:`HostError` where it cannot be written."""
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            draft.write_text(f"{self._about}\n{answer}")
            draft.replace(self._file)
        except OSError as error:
            raise HostError(f"cannot write {self._file}: {error.strerror}") from error


def identity(program: str) -> str:
    """A text for the program at a path: another one when it is another program. Raises :class:`OSError`."""
    status = os.stat(program)  # noqa: PTH116 (start-up)
    return f"{program} {status.st_dev} {status.st_ino} {status.st_size} {status.st_ctime_ns}"
