"""With a terminal: the command gets one of its own, and the outer one is as it was afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.conftest import ATTACKS, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")


class Screen:
    """A person at a terminal: an outer shell that runs ``outward`` on a real pseudo-terminal."""

    def __init__(self, caller: Caller, *words: str) -> None:
        self.pid, self.keyboard = pty.fork()
        if self.pid == 0:  # pragma: no cover (the child)
            os.chdir(caller.workspace)
            argv = caller.argv("run", "--quiet", "--", *words)
            os.execvpe(argv[0], argv, caller.env())  # noqa: S606
        self.seen = b""

    def type(self, text: bytes) -> None:
        os.write(self.keyboard, text)

    def see(self, text: bytes) -> None:
        """Waits for ``text`` to be shown, after what was waited for before."""
        while text not in self.seen:
            assert self._read(), f"ended without {text!r}: {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def _read(self) -> bool:
        select.select([self.keyboard], [], [])
        try:
            chunk = os.read(self.keyboard, 65536)
        except OSError:
            return False
        self.seen += chunk
        return bool(chunk)

    def status(self) -> int:
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self.keyboard)


@pytest.fixture
def screens(caller: Caller) -> Iterator[Any]:
    opened: list[Screen] = []

    def open_(*words: str) -> Screen:
        opened.append(Screen(caller, *words))
        return opened[-1]

    yield open_
    for screen in opened:
        os.close(screen.keyboard)


def test_the_command_has_a_terminal(screens):
    screen = screens("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && : </dev/tty && echo all; exit 7")
    screen.see(b"all")
    assert screen.status() == 7


def test_without_one_outside_there_is_none_inside(caller):
    assert caller.inside("test -t 0 || test -t 1 || (: </dev/tty)").returncode != 0


def test_output_is_complete(screens):
    screen = screens("sh", "-c", "seq 1 20000; echo the end")
    screen.see(b"\r\n19999\r\n20000\r\nthe end")
    assert screen.status() == 0


def test_its_size_follows(screens):
    screen = screens(*listening("SIGWINCH"))
    screen.see(b"ready")
    screen.resize(51, 133)
    screen.see(b"told SIGWINCH 133 51")


def test_ctrl_c_reaches_the_command_and_not_the_launcher(screens):
    screen = screens(*listening("SIGINT"))
    screen.see(b"ready")
    screen.type(b"\x03")
    screen.see(b"told SIGINT")
    assert screen.status() == 9


def test_ctrl_c_ends_a_command_that_does_not_catch_it(screens):
    screen = screens(*listening())
    screen.see(b"ready")
    screen.type(b"\x03")
    assert screen.status() == 128 + signal.SIGINT


@pytest.mark.needs("bash")
def test_job_control(screens):
    screen = screens("bash", "--norc", "-i")
    screen.see(b"$ ")
    screen.type(b"echo up $((20+2))\r")
    screen.see(b"up 22")
    screen.type(b"sh -c 'echo job $((40+2)); exec sleep 1000'\r")
    screen.see(b"job 42")
    screen.type(b"\x1a")
    screen.see(b"Stopped")
    screen.type(b"kill %1; fg; exit 6\r")
    assert screen.status() == 6


@pytest.mark.parametrize("end", ["exit 0", "stty -echo raw; exit 3", "kill -KILL $$"])
def test_the_outer_terminal_is_restored(screens, end):
    screen = screens("sh", "-c", f"echo ready; read line; {end}")
    before = screen.settings()
    screen.see(b"ready")
    assert screen.settings() != before, "the outer terminal was never raw"
    screen.type(b"go\r")
    screen.status()
    assert screen.settings() == before


def test_typing_into_the_terminal_is_refused(caller, screens):
    caller.file(caller.workspace / "attacks.py", ATTACKS.read_text(), 0o644)
    for attack in ("tiocsti", "tioclinux"):
        screen = screens("/usr/bin/python3", "attacks.py", attack)
        screen.see(b"CLOSED")
        screen.status()
