"""A terminal of the command's own, joined to the one that ``outward`` runs in.

The command never holds the outer terminal: it could type into it. The outer one is raw meanwhile, so that every key, Ctrl-C
and Ctrl-Z included, means what the inner terminal says it means; job control and line editing happen there.
"""

from __future__ import annotations

import fcntl
import os
import termios
import tty
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_CHUNK: Final = 1 << 16


class Terminal:
    """An inner terminal with the outer one's size and settings. A context manager: the outer one is always restored.

    ``inner`` is the descriptor for the command.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self._stdin: Final = stdin
        self._stdout: Final = _own_description(stdout)
        self._settings: Final = termios.tcgetattr(stdin)
        self._outer, self.inner = os.openpty()
        os.set_blocking(self._outer, False)
        termios.tcsetattr(self.inner, termios.TCSANOW, self._settings)
        self.resize()
        self._pumps: list[_Pump] = []

    def resize(self) -> None:
        """Gives the inner terminal the outer one's size; the kernel tells its foreground process (SIGWINCH)."""
        with suppress(OSError):  # the outer terminal is gone, and so is the need
            termios.tcsetwinsize(self._outer, termios.tcgetwinsize(self._stdin))

    def __enter__(self) -> Self:
        tty.setraw(self._stdin, termios.TCSADRAIN)  # keeps what was typed ahead
        return self

    def __exit__(self, *exception: object) -> None:
        for pump in self._pumps:
            pump.stop()
        with suppress(termios.error):  # the outer terminal is gone
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._settings)
        for descriptor in (self.inner, self._outer, self._stdout):
            os.close(descriptor)

    def connect(self, loop: AbstractEventLoop) -> None:
        """Starts passing both ways. Our copy of ``inner`` stays open: it takes what was typed before the command reads."""
        self._pumps = [_Pump(loop, self._stdin, self._outer), _Pump(loop, self._outer, self._stdout)]

    def drain(self) -> None:
        """Passes on what the command wrote before it ended."""
        os.set_blocking(self._stdout, True)
        self._pumps[1].drain()


class _Pump:
    """Copies one way. Stops reading while what was read cannot be written."""

    def __init__(self, loop: AbstractEventLoop, source: int, sink: int) -> None:
        self._source: Final = source
        self._sink: Final = sink
        self._rest = b""
        self._loop: Final = loop
        self._loop.add_reader(source, self._read)

    def _read(self) -> None:
        chunk = _read_some(self._source)
        if chunk == b"":
            self._loop.remove_reader(self._source)
        self._rest = chunk or b""
        self._flush()
        if self._rest:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._resume)

    def _resume(self) -> None:
        self._flush()
        if not self._rest:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._read)

    def _flush(self) -> None:
        try:
            self._rest = self._rest[os.write(self._sink, self._rest) :]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more
            self._rest = b""

    def drain(self) -> None:
        self.stop()
        while self._rest:
            self._flush()
        while chunk := _read_some(self._source):
            self._rest = chunk
            while self._rest:
                self._flush()

    def stop(self) -> None:
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)


def _read_some(source: int) -> bytes | None:
    """What there is; nothing at the end, ``None`` when there is nothing yet."""
    try:
        return os.read(source, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:  # the other end is closed: a terminal says so with EIO
        return b""


def _own_description(descriptor: int) -> int:
    """A descriptor for the same terminal that can be non-blocking without the shell's own becoming so."""
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:  # a terminal of another mount namespace: writes to it may make the gateway wait
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
