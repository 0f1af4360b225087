"""The cage alone: a namespace that holds our listeners and nothing else."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outward import kernel
from outward.cage import PORT, Cage, Command, Enclosure, Sockets, handing, inside, plumbing, rules, sweeper
from outward.core import HostError
from outward.forked import close_all_but
from outward.gateway.fronts.original import original_destination

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_leaving_kills_what_the_command_has_just_started():
    """As bubblewrap does, which ties it to itself only afterwards."""
    reader, writer = os.pipe()
    line = "import os, signal; os.fork() and os.write(1, b'x'); signal.pause()"
    with os.fdopen(reader, "rb", 0) as stream, Cage.open(python(line, stdout=writer)) as cage:
        os.close(writer)
        cage.release()
        assert stream.read(1) == b"x"
        cage.close()
        assert stream.read() == b""  # not before all who could write are gone


OWN = """
import os, signal, sys
from outward.cage import Cage, Command
line = "import os, signal; os.fork(); print('x', flush=True); signal.pause()"
cage = Cage.open(Command((os.path.realpath(sys.executable), "-c", line)))
cage.release()
sys.stdin.read(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_the_command_has_started_ends_with_its_owner_however_that_ends():
    """The command itself does by the kernel; bubblewrap ties what it starts to itself only when the sandbox is built."""
    program = [sys.executable, "-c", OWN]
    with (
        Cage.open(python("import time; time.sleep(1000)")) as other,
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner,
    ):
        other.release()
        assert owner.stdout is not None
        assert [owner.stdout.readline() for _ in range(2)] == [b"x\n", b"x\n"]
        rest, _ = owner.communicate(b".")  # not before all who could write are gone
        assert rest == b""
        assert not other.over


def test_a_cage_that_nobody_would_sweep_is_not_made(monkeypatch):
    reader, writer = os.pipe()

    def end(owner: int) -> None:
        os.close(owner)
        os.write(writer, b"x")
        os._exit(1)

    def take_later(control: socket.socket) -> tuple[Sockets, tuple[int, ...]]:
        assert os.read(reader, 1) == b"x"
        return handing.take(control)

    monkeypatch.setattr(sweeper, "detach", end)
    monkeypatch.setattr("outward.cage.enclosure.take", take_later)
    with os.fdopen(reader), os.fdopen(writer), pytest.raises(HostError, match="the cage ended before it was ready"):
        Cage.open(python("print('runs')"))


def test_nor_is_one_where_there_may_be_no_more_processes(monkeypatch, tmp_path):
    """The child that cannot have one must not go on as its parent would."""
    fork, own = os.fork, os.getpid()

    def fail_below() -> int:
        if os.getpid() != own:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    monkeypatch.setattr(os, "fork", fail_below)
    try:
        with pytest.raises(HostError, match="Resource temporarily unavailable"):
            Cage.open(python("print('runs')"))
    finally:
        (tmp_path / str(os.getpid())).touch()
    assert [*tmp_path.iterdir()] == [tmp_path / str(own)]


def test_nor_does_the_one_process_stay_where_there_may_be_no_second(monkeypatch):
    fork, own = os.fork, os.getpid()
    children: list[int] = []

    def fail_then() -> int:
        if os.getpid() == own and children:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        children.append(fork())
        return children[-1]

    monkeypatch.setattr(os, "fork", fail_then)
    with pytest.raises(BlockingIOError):
        Cage.open(python("print('runs')"))
    with pytest.raises(ChildProcessError):  # waited for already
        os.waitpid(children[0], os.WNOHANG)


def test_an_enclosure_is_begun_before_its_command_is_known():
    outside = {f"/proc/self/ns/{kind}": Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in ("net", "user")}
    line = f"import os; print(*(os.stat(path).st_ino != number for path, number in {outside}.items()))"
    reader, writer = os.pipe()
    with Enclosure.open() as enclosure, os.fdopen(reader) as stream:
        enclosure.ready()
        with Cage.open(python(line, stdout=writer), enclosure) as cage:
            os.close(writer)
            assert cage.sockets is enclosure.sockets
            cage.release()
            assert cage.wait() == 0
            assert stream.read().split() == ["True", "True"]


@pytest.mark.parametrize("made", [True, False])
def test_of_one_that_is_never_used_nothing_stays(made, tmp_path):
    """Whoever still had the lock would be something that stayed."""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = set(kernel.children(os.getpid()))
        with Enclosure.open() as enclosure:
            if made:
                enclosure.ready()
        assert set(kernel.children(os.getpid())) <= before
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_one_whose_maker_is_killed_is_not_used(monkeypatch):
    monkeypatch.setattr(inside, "hand_out", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with Enclosure.open() as enclosure, pytest.raises(HostError, match="the cage ended before it was ready"):
        Cage.open(python("print('runs')"), enclosure)


def test_the_host_is_never_swept(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(sweeper, "detach", lambda owner: close_all_but(owner, writer))
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: os.write(writer, b"x"))
    with os.fdopen(reader, "rb") as told:
        owner, watcher = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sweeper.start_sweeper(watcher)
        broom = sweeper.Sweeper(owner)
        os.close(writer)
        with Path("/proc/self/ns/net").open() as network:
            broom.watch(network.fileno())
        broom.close()
        assert told.read() == b""


def test_a_program_that_is_not_there_is_an_error():
    with (
        Cage.open(Command(("/nonexistent/bwrap",))) as cage,
        pytest.raises(HostError, match="start /nonexistent/bwrap"),
    ):
        cage.release()


def test_a_cage_that_is_killed_before_it_is_released():
    with Cage.open(python("print('runs')")) as cage:
        os.kill(cage.pid, signal.SIGKILL)
        os.waitid(os.P_PID, cage.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(HostError, match="the cage ended before it was ready"):
            cage.release()


ELSEWHERE = "192.0.2.7"
TALK = """
import errno, socket, sys
for port in map(int, sys.argv[2:]):
    try:
        with socket.create_connection((sys.argv[1], port), 30) as sock:
            sock.sendall(b"hello")
            print(sock.recv(16).decode() or "closed")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@contextmanager
def gateway(sockets: Sockets, name: bytes) -> Iterator[int]:
    """A process that answers one connection after the other with its name: its process id."""
    pid = os.fork()
    if pid == 0:
        sock = sockets.transparent[0]
        sock.setblocking(True)
        while True:
            connection, _ = sock.accept()
            connection.recv(16)
            connection.sendall(name)
            connection.close()
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_every_port_is_taken():
    with Cage.open(python(DIAL, PORT)) as cage:
        assert cage.sockets.take_every_port


def test_a_gateway_that_dies_leaves_the_connections_to_the_next():
    """Whoever keeps the descriptors keeps the queue: nothing is refused while there is no gateway."""
    reader, writer = os.pipe()
    code = TALK + "    sys.stdout.flush()\n    sys.stdin.readline()\n"
    stdin, go_on = os.pipe()
    command = Command((os.path.realpath(sys.executable), "-c", code, ELSEWHERE, "22", "22", "22"), (stdin, writer, 2))
    with os.fdopen(reader) as said, os.fdopen(go_on, "w", buffering=1) as tell, Cage.open(command) as cage:
        os.close(writer)
        os.close(stdin)
        with gateway(cage.sockets, b"first"):
            cage.release()
            assert said.readline() == "first\n"
        tell.write("\n")
        _until_waiting(cage)
        with gateway(cage.sockets, b"second"):
            assert said.readline() == "second\n"
        cage.sockets.close()
        tell.write("\n")
        assert said.readline() == "ECONNREFUSED\n"


def _until_waiting(cage: Cage) -> None:
    poll = select.poll()
    poll.register(cage.sockets.transparent[0], select.POLLIN)
    assert poll.poll(30_000)


@pytest.fixture
def without_packet_filter(monkeypatch):
    monkeypatch.setattr(rules, "load", lambda *_, **__: False)


def test_without_a_packet_filter_the_usual_ports_are_taken_everywhere(without_packet_filter):
    reader, writer = os.pipe()
    command = python(TALK, ELSEWHERE, 22, 80, 443, 8080, stdout=writer)
    with os.fdopen(reader) as said, Cage.open(command) as cage:
        os.close(writer)
        cage.release()
        for port in (22, 80, 443):
            (listener,) = [sock for sock in cage.sockets.transparent if sock.getsockname()[:2] == ("0.0.0.0", port)]
            listener.setblocking(True)
            connection, _ = listener.accept()
            assert original_destination(connection) == (ELSEWHERE, port, False)
            connection.sendall(b"taken")
            connection.close()
        assert said.read().split() == ["taken", "taken", "taken", "ECONNREFUSED"]
        assert not cage.sockets.take_every_port


def test_rules_that_are_not_there_are_noticed(monkeypatch):
    monkeypatch.setattr(rules, "load", lambda *_, **__: True)
    with pytest.raises(HostError, match="test what was set up: Connection refused"):
        Cage.open(python(DIAL, PORT))


@pytest.mark.needs("ipv6")
def test_rules_for_one_family_only_are_noticed(monkeypatch):
    load = rules.load
    monkeypatch.setattr(rules, "load", lambda first, *_, **ports: load(first, **ports))
    with pytest.raises(HostError, match="test what was set up"):
        Cage.open(python(DIAL, PORT))


def test_rules_that_lead_elsewhere_are_noticed(monkeypatch):
    load = rules.load
    monkeypatch.setattr(rules, "load", lambda *families, **_: load(*families, dns=53, transparent=PORT))
    monkeypatch.setattr(plumbing, "_TEST_TIME", 0.2)
    with pytest.raises(HostError, match="a connection did not come to the gateway"):
        Cage.open(python(DIAL, PORT))


def test_datagrams_that_are_answered_are_noticed(monkeypatch):
    """Somebody at whatever is dialled, in place of the rules that refuse."""
    check = plumbing._test

    def beset(family, sockets, **how):
        with socket.socket(family, socket.SOCK_DGRAM) as somebody:
            somebody.bind(("", 443))
            check(family, sockets, **how)

    monkeypatch.setattr(plumbing, "_test", beset)
    monkeypatch.setattr(plumbing, "_TEST_TIME", 0.2)
    monkeypatch.setattr(rules, "_going_on", lambda: ())  # lets everything pass
    with pytest.raises(HostError, match="datagrams are not refused"):
        Cage.open(python(DIAL, PORT))


def test_a_packet_filter_that_says_no_is_a_failed_start(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(rules, "load", refuse)
    with pytest.raises(HostError, match="load the packet filter's rules: Operation not permitted"):
        Cage.open(python(DIAL, PORT))


@pytest.fixture
def without_ipv6(monkeypatch):
    monkeypatch.setattr(plumbing, "_families", lambda: iter([socket.AF_INET]))


def test_without_ipv6_everything_else_is_there(without_ipv6):
    with Cage.open(python(DIAL, PORT)) as cage:
        assert {sock.family for sock in cage.sockets.each()} == {socket.AF_INET}
        assert cage.sockets.kinds == ["proxy", "transparent", "dns", "dns"]
        cage.release()
        assert cage.wait() == 0


MANY = """
import socket, sys
def dial(address, source=None):
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if source:
        sock.bind(source)
    sock.setblocking(False)
    sock.connect_ex(address)
    return sock
kept = [dial((f"203.0.113.{number % 250 + 1}", 1000 + number)) for number in range(200)]
kept += [dial((f"198.51.100.{number}", 443), ("127.0.0.1", 5555)) for number in range(1, 9)]
print("dialled", flush=True)
sys.stdin.read()
"""


def test_every_one_of_many_connections_keeps_its_destination():
    """Also those that come from one and the same port: where they are brought, only that would tell them apart."""
    wanted = {(f"203.0.113.{number % 250 + 1}", 1000 + number) for number in range(200)}
    wanted |= {(f"198.51.100.{number}", 443) for number in range(1, 9)}
    stdin, over = os.pipe()
    command = Command((os.path.realpath(sys.executable), "-c", MANY), (stdin, os.open(os.devnull, os.O_WRONLY), 2))
    with Cage.open(command) as cage:
        os.close(stdin)
        os.close(command.stdio[1])
        cage.release()
        found: set[tuple[str, int]] = set()
        listener = cage.sockets.transparent[0]
        while len(found) < len(wanted):
            _until_waiting(cage)
            connection, _ = listener.accept()
            found.add(original_destination(connection)[:2])
            connection.close()
        os.close(over)
        assert cage.wait() == 0
    assert found == wanted
