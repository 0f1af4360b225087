"""Pipes in place of files, for launchers that do not share a file's position with their caller.

gVisor and QEMU keep positions of their own: what a caller has written to the same file before, or writes to it afterwards,
would be overwritten.
"""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_CAT: Final = "/bin/cat"


class Relays:
    """For each regular file among ``stdio`` a process that copies between it and a pipe. A context manager.

    ``streams`` are the descriptors for the launcher. Once it has them, :meth:`hand_over` closes ours.
    """

    def __init__(self, stdio: Sequence[int]) -> None:
        self._copiers: Final[list[subprocess.Popen[bytes]]] = []
        self._ends: Final[list[int]] = []
        stdin, stdout, stderr = stdio
        out = self._after(stdout)
        # Both into one file: one pipe keeps what is written in its order.
        err = out if os.path.sameopenfile(stdout, stderr) else self._after(stderr)
        self.streams: Final = (self._before(stdin), out, err)

    def _before(self, source: int) -> int:
        if not _is_file(source):
            return source
        ours, theirs = os.pipe()
        self._ends.append(ours)
        try:
            self._copiers.append(
                subprocess.Popen([_CAT], stdin=source, stdout=theirs, stderr=subprocess.DEVNULL, env={})
            )
        finally:
            os.close(theirs)
        return ours

    def _after(self, sink: int) -> int:
        if not _is_file(sink):
            return sink
        theirs, ours = os.pipe()
        self._ends.append(ours)
        try:
            self._copiers.append(subprocess.Popen([_CAT], stdin=theirs, stdout=sink, stderr=subprocess.DEVNULL, env={}))
        finally:
            os.close(theirs)
        return ours

    def hand_over(self) -> None:
        """From here on a copier ends when the launcher and all that it has started have closed their side."""
        while self._ends:
            os.close(self._ends.pop())

    def finish(self) -> None:
        """Waits until everything that was written has arrived. Only after the launcher's end."""
        self.hand_over()
        for copier in self._copiers:
            copier.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.hand_over()
        for copier in self._copiers:
            copier.kill()
            copier.wait()


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
