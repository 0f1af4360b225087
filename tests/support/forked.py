"""``outward``, loaded once and forked for each start.

Nearly all that a start costs is imports, and nearly all that a test of the gateway costs is the start. So one process for each
pytest worker loads what every ``outward serve`` loads before it is ready. A start is a fork of it that takes arguments,
environment, directory and streams of its own and then is the program: the same ``main()``, its own exit, nothing shared.

Not for a test of what a start as such does: what is loaded and when, what ``/proc`` shows of the caller's words and environment.
Those, and everything in tests/system and tests/clients, run the real command.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO, Self

ROOT = Path(__file__).parents[2]
READY = (
    "ruamel.yaml",
    "uvloop",
    "outward.audit.telling",
    "outward.cli.asking",
    "outward.cli.registries",
    "outward.cli.serve",
    "outward.cli.verbs",
    "outward.pki.minting",
    "outward.server.descriptors",
)
"""What brings all that a gateway has loaded when it is ready."""

LONGEST = 1 << 17
"""Octets that a message may have: all of a start's arguments and environment."""


class Loaded:
    """The process that has loaded it; a context manager. It goes when nobody is left who could ask."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        with theirs:
            # As tests start the real command: without the caller's locale, or anything else that Python reads once.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ["PATH"]},
                cwd=ROOT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.wait(60)

    def start(self, words: Sequence[str], *, stderr: IO[bytes], env: Mapping[str, str], cwd: Path) -> Forked:
        """``outward`` with these words."""
        told = {"argv": ["outward", *words], "env": dict(env), "cwd": str(cwd)}
        read, write = os.pipe()
        with os.fdopen(write, "wb") as stdout, Path(os.devnull).open("rb") as nothing:
            pid = self._ask(told, nothing.fileno(), stdout.fileno(), stderr.fileno())
        return Forked(pid, os.fdopen(read, "rb"), lambda: self._ask({"ended": pid}))

    def _ask(self, question: object, *descriptors: int) -> int:
        with self._turn:
            socket.send_fds(self._control, [json.dumps(question).encode()], descriptors)
            said = self._control.recv(LONGEST)
        assert said, "what forks has ended"
        return int(said)


class Forked:
    """A start, with what tests use of ``subprocess.Popen``."""

    def __init__(self, pid: int, stdout: IO[bytes], reap: Callable[[], int]) -> None:
        self.pid, self.stdout = pid, stdout
        self.returncode: int | None = None
        self._descriptor, self._reap = os.pidfd_open(pid), reap

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Seconds; raises ``subprocess.TimeoutExpired``."""
        if (status := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired("outward", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)  # its number is nobody else's before we ask how it ended

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._descriptor], [], [], timeout)[0]:
            os.close(self._descriptor)
            self.returncode = os.waitstatus_to_exitcode(self._reap())
        return self.returncode


def _fork_for(control: socket.socket) -> None:
    """Forks whenever a start is asked for, and returns in what was forked."""
    while True:
        message, descriptors, flags, _ = socket.recv_fds(control, LONGEST, 3)
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        if not message:
            os._exit(0)  # nothing of the program has run here, so nothing of it shall at the end
        question = json.loads(message)
        if "ended" in question:
            _, answer = os.waitpid(question["ended"], 0)
        elif (answer := os.fork()) == 0:
            _become(question, descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(b"%d" % answer)


def _become(told: dict[str, object], streams: list[int]) -> None:
    argv, env, cwd = told["argv"], told["env"], told["cwd"]
    assert isinstance(argv, list)
    assert isinstance(env, dict)
    assert isinstance(cwd, str)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = argv


if __name__ == "__main__":
    from outward.cli import main

    for module in READY:
        import_module(module)
    gc.freeze()  # what all have in common is not looked through, and so not copied, in each of them
    _fork_for(socket.socket(fileno=int(sys.argv[1])))
    main()
