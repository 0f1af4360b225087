"""What bubblewrap reports about the command: JSON objects, one a line (``--json-status-fd``)."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any, Final


class Report:
    """What has been read so far from ``descriptor``, which stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor
        self._known: dict[str, Any] = {}
        self._partial = b""
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """To wait for more."""
        return self._descriptor

    def read(self) -> bool:
        """Takes what is there; whether there can be more."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._descriptor, 4096):
                *lines, self._partial = (self._partial + chunk).split(b"\n")
                for line in filter(None, lines):
                    self._known |= json.loads(line)
            return False
        return True

    @property
    def init(self) -> int | None:
        """The process id of the sandbox's first process, outside."""
        return self._known.get("child-pid")

    @property
    def exit_status(self) -> int | None:
        """The command's exit status as a shell would give it; nothing where it was never started, or goes on."""
        return self._known.get("exit-code")
