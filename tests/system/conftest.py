"""Runs the real command line, as whoever runs the tests and, from root, as an unprivileged user too."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.caller import LIMIT, Caller, new_caller

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTACKS = Path(__file__).with_name("attacks.py")

LISTENER = """
import os, signal, sys
def told(number, frame):
    size = os.get_terminal_size() if os.isatty(1) else ()
    os.write(1, " ".join(map(str, ("told", signal.Signals(number).name, *size))).encode() + b"\\n")
    sys.exit(9)
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), told)
if not sys.argv[1:]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
os.write(1, b"ready\\n")  # unbuffered: the signal may come while it is being written
while True:
    signal.pause()
"""
"""Says which of the named signals it is told, and ends with 9. Not a shell: a signal that meets one at a fork can be lost."""

FORKS = """
import os, signal
count = 0
try:
    while count < 400:
        if os.fork() == 0:
            signal.pause()
        count += 1
except OSError:
    pass
print(count)
"""
"""Starts processes that stay, and says how many it could."""


class Attacked(Caller):
    """A caller whose sandbox is attacked from inside."""

    def attacks(self, *lines: str, options: tuple[str, ...] = ()) -> dict[str, str]:
        """What several attacks in one sandbox say, by their words."""
        said = self._attacked("each", *lines, options=options)
        return dict(zip(lines, said, strict=True))

    def attack(self, name: str, *arguments: object, options: tuple[str, ...] = ()) -> str:
        """What an attack in the sandbox says: ``OPEN``, or ``CLOSED`` and why."""
        return self._attacked(name, *map(str, arguments), options=options)[-1]

    def _attacked(self, *words: str, options: tuple[str, ...]) -> list[str]:
        self.file(self.workspace / "attacks.py", ATTACKS.read_text(), 0o644)
        done = self.outward("run", "--quiet", *options, "--", "/usr/bin/python3", "attacks.py", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()


def listening(*names: str) -> tuple[str, ...]:
    """The command that waits for signals; with none, it dies of whatever it gets."""
    return ("/usr/bin/python3", "-c", LISTENER, *names)


def attack_outside(name: str, *arguments: object) -> str:
    """The same attack where nothing stops it."""
    done = subprocess.run(
        ["/usr/bin/python3", str(ATTACKS), name, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(params=["self", "unprivileged"])
def caller(request: pytest.FixtureRequest) -> Iterator[Attacked]:
    with new_caller(Attacked, unprivileged=request.param == "unprivileged") as caller:
        yield caller
