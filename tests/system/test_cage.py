"""The cage alone: a namespace that holds our listeners and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from outward.cage import PORT, Cage, Command
from outward.core import HostError

pytestmark = pytest.mark.needs("bubblewrap")

DIAL = """
import socket, sys
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    try:
        print(socket.socket(family).connect_ex((address, int(sys.argv[1]))) == 0)
    except OSError:
        print(False)
"""


def python(code: str, *arguments: object, stdout: int = 1) -> Command:
    return Command((os.path.realpath(sys.executable), "-c", code, *map(str, arguments)), stdio=(0, stdout, 2))


def output_of(code: str, *arguments: object) -> list[str]:
    reader, writer = os.pipe()
    with os.fdopen(reader) as stream, Cage.open(python(code, *arguments, stdout=writer)) as cage:
        os.close(writer)
        cage.release()
        assert cage.wait() == 0
        return stream.read().split()


def test_what_is_dialled_inside_is_accepted_outside():
    with Cage.open(python(DIAL, PORT)) as cage:
        cage.release()
        cage.sockets.proxy[0].setblocking(True)
        connection, peer = cage.sockets.proxy[0].accept()
        connection.close()
        assert peer[0] == "127.0.0.1"


def test_the_listeners_of_one_cage_are_not_seen_in_another():
    with Cage.open(python(DIAL, PORT)) as first, Cage.open(python(DIAL, PORT)) as second:
        for listener in second.sockets.each():
            listener.close()
        second.release()
        second.wait()
        with pytest.raises(BlockingIOError):
            first.sockets.proxy[0].accept()


def test_nothing_else_listens_inside():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        assert output_of(DIAL, port) == ["False", "False"]


def test_there_is_loopback_and_nothing_else():
    assert output_of("import socket; print(*(name for _, name in socket.if_nameindex()))") == ["lo"]


def test_the_environment_is_empty():
    assert output_of("import os; print(len(os.environ.keys() - {'LC_CTYPE'}))") == ["0"]


def test_only_the_listed_descriptors_are_inherited(tmp_path):
    (tmp_path / "kept").write_text("x")
    with (tmp_path / "kept").open() as kept:
        code = "import os; print(*sorted(int(fd) for fd in os.listdir('/proc/self/fd')))"
        os.set_inheritable(kept.fileno(), True)  # as what a shell opens is: it would be there
        descriptors = [int(fd) for fd in output_of(code)]
        assert kept.fileno() not in descriptors
        assert len(descriptors) == 4  # standard input, output, error, and the directory that lists them


def test_nothing_starts_before_it_is_released(tmp_path):
    mark = tmp_path / "started"
    with Cage.open(python(f"open({str(mark)!r}, 'w')")) as cage:
        assert Path(f"/proc/{cage.pid}").exists()
        assert not mark.exists()
    assert not mark.exists()


def test_leaving_kills_what_is_inside():
    with Cage.open(python("import time; time.sleep(1000)")) as cage:
        cage.release()
    assert os.waitstatus_to_exitcode(cage.wait()) == -signal.SIGKILL


def test_a_program_that_is_not_there_is_an_error():
    with (
        Cage.open(Command(("/nonexistent/bwrap",))) as cage,
        pytest.raises(HostError, match="start /nonexistent/bwrap"),
    ):
        cage.release()
