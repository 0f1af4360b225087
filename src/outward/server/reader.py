"""Reading the policy again, in a process of its own: presets may ask programs, and the supervisor must not wait for them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from outward.core import OutwardError
from outward.policy import Sources
from outward.server.channel import memory_file, read_file, write_file
from outward.server.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

_GOOD: Final = 0
_BROKEN: Final = 3


class Reader:
    """A process that gathers a policy's sources into a file in memory, or the reasons why there are none."""

    def __init__(self, gather: Callable[[], Sources], *, release: Callable[[], None]) -> None:
        """``gather`` raises :class:`OutwardError`; ``release``: see :class:`Process`. Raises :class:`OSError`."""
        self._gather: Final = gather
        self._file: Final = memory_file("sources")
        try:
            self.process: Final = Process(self._main, release=release)
        except OSError:
            os.close(self._file)
            raise

    def result(self) -> Sources:
        """What was gathered; waits for the process to end. Raises :class:`OutwardError` with what is wrong."""
        code = self.process.reap()
        try:
            text = read_file(self._file)
        finally:
            os.close(self._file)
        if code == _GOOD:
            return Sources.from_json(text)
        raise OutwardError(text if code == _BROKEN else "the process that read it came to a sudden end")

    def close(self) -> None:
        """Lets go of it, however it goes on."""
        self.process.close()
        os.close(self._file)

    def _main(self) -> int:
        try:
            text = self._gather().to_json()
        except OutwardError as error:
            write_file(self._file, error.message)
            return _BROKEN
        write_file(self._file, text)
        return _GOOD
