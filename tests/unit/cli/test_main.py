"""What the exit status says where something that is written to has no reader any more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VERB = """
import os, sys
from outward.cli import starting
from outward.cli.main import main

def start(_):
    {deed}

starting.start = start
sys.argv = ["outward", "run", "--", "true"]
main()
"""
SAY = "print('said', file=sys.{stream}, flush=True)"
HELPER_DIES = "read, write = os.pipe(); os.close(read); os.write(write, b'orders')"


def run(deed: str, unread: str = "") -> subprocess.CompletedProcess[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    read, write = os.pipe()
    os.close(read)
    if unread:
        streams[unread] = write
    try:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-c", VERB.format(deed=deed)], **streams, text=True, timeout=60
        )
    finally:
        os.close(write)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_nobody_reads_what_we_say(stream: str) -> None:
    done = run(SAY.format(stream=stream), unread=stream)
    assert (done.returncode, done.stdout or "", done.stderr or "") == (0, "", "")


def test_a_helper_that_has_died_is_no_success() -> None:
    done = run(HELPER_DIES)
    said = "outward: a process that was started for this has ended before its time\n"
    assert (done.returncode, done.stdout, done.stderr) == (125, "", said)


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("raise BlockingIOError(11, 'no')", "no further process may be started"),
        ("raise OSError(24, 'no', '/some/file')", "no further file may be opened (for /some/file)"),
        ("raise MemoryError", "there is not enough memory"),
    ],
)
def test_what_a_machine_runs_out_of_is_named(deed: str, said: str) -> None:
    done = run(deed)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(f"outward: {said}\n  ")


def test_what_nobody_has_foreseen_is_not_hidden() -> None:
    done = run("raise OSError(5, 'no')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
