"""Pipes in place of files, for launchers that do not share a file's position with their caller.

gVisor and QEMU keep positions of their own: what a caller has written to the same file before, or writes to it afterwards,
would be overwritten.
"""

from __future__ import annotations

import os
import stat
import subprocess
from typing import Final, Self

_CAT: Final = "/bin/cat"


class Relays:
    """For each regular file among ``stdio`` a process that copies between it and a pipe. A context manager.

    With ``pipes``, for everything that is not a pipe. ``streams`` are the descriptors for the launcher. Once it has them,
    :meth:`hand_over` closes ours.
    """

    def __init__(self, stdio: tuple[int, int, int], *, pipes: bool = False) -> None:
        self._pipes: Final = pipes
        self._readers: Final[list[subprocess.Popen[bytes]]] = []
        self._writers: Final[list[subprocess.Popen[bytes]]] = []
        self._ends: Final[list[int]] = []
        stdin, stdout, stderr = stdio
        out = self._after(stdout)
        # Both into one file: one pipe keeps what is written in its order.
        err = out if os.path.sameopenfile(stdout, stderr) else self._after(stderr)
        self.streams: Final = (self._before(stdin), out, err)

    def _before(self, source: int) -> int:
        if self._as_it_is(source):
            return source
        ours, theirs = os.pipe()
        self._ends.append(ours)
        try:
            self._readers.append(_cat(source, theirs))
        finally:
            os.close(theirs)
        return ours

    def _after(self, sink: int) -> int:
        if self._as_it_is(sink):
            return sink
        theirs, ours = os.pipe()
        self._ends.append(ours)
        try:
            self._writers.append(_cat(theirs, sink))
        finally:
            os.close(theirs)
        return ours

    def _as_it_is(self, descriptor: int) -> bool:
        mode = os.fstat(descriptor).st_mode
        return stat.S_ISFIFO(mode) if self._pipes else not stat.S_ISREG(mode)

    def hand_over(self) -> None:
        """From here on a copier ends when the launcher and all that it has started have closed their side."""
        while self._ends:
            os.close(self._ends.pop())

    def finish(self) -> None:
        """Waits until everything that was written has arrived. Only after the launcher's end."""
        self.hand_over()
        for writer in self._writers:
            writer.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.hand_over()
        for copier in (*self._readers, *self._writers):
            copier.kill()
            copier.wait()


def _cat(source: int, sink: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([_CAT], stdin=source, stdout=sink, stderr=subprocess.DEVNULL, env={})
