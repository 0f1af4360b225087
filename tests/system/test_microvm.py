"""The microvm backend, by itself. Each start of a machine takes seconds: few tests, each of which asks much."""

from __future__ import annotations

import pytest

from tests.support.caller import new_caller
from tests.system.conftest import Attacked, listening
from tests.system.test_end import processes_with, ready, told, until

pytestmark = [pytest.mark.needs("bubblewrap", "qemu-system-x86_64", "machine"), pytest.mark.timeout(300)]

MICROVM = ("--backend", "microvm")
QUESTIONS = """
import os, socket
def told(what, *arguments):
    try:
        sock = socket.socket(*arguments)
        sock.settimeout(5)
        what(sock)
        return "yes"
    except OSError:
        return "no"
def answer(address):
    with socket.create_connection((address, 80), 20) as sock:
        sock.sendall(b"GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n")
        return sock.recv(12).decode()
def datagram(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect((address, 443))
        sock.send(b"x")
        try:
            return sock.recv(1)
        except OSError as error:
            return error.strerror
def own(family, address):
    with socket.create_server((address, 80), family=family):
        return told(lambda s: s.connect((address, 80)), family, socket.SOCK_STREAM)
print(os.uname().nodename, os.getuid(), os.environ["HTTPS_PROXY"])
print(told(lambda s: s.connect(("10.0.2.2", 3128)), socket.AF_INET, socket.SOCK_STREAM))
print(told(lambda s: s.connect((2, 3128)), 40, socket.SOCK_STREAM))
print(answer("192.0.2.1"), datagram(socket.AF_INET, "192.0.2.1"), own(socket.AF_INET, "127.0.0.1"))
print(answer("2001:db8::1"), datagram(socket.AF_INET6, "2001:db8::1"), own(socket.AF_INET6, "::1"))
print(repr(open(".env").read()), os.path.exists("/proc/1/root/guest"))
open("made", "w").write("by the machine")
raise SystemExit(7)
"""


@pytest.fixture(params=["self", "unprivileged"])
def caller(request: pytest.FixtureRequest):
    with new_caller(Attacked, unprivileged=request.param == "unprivileged") as caller:
        caller.bring_machine()
        yield caller


def test_a_machine_sees_the_view_and_reaches_the_gateway_alone(caller):
    secret = caller.file(caller.workspace / ".env", "TOKEN=sk-test-1")
    done = caller.outward("run", "--quiet", *MICROVM, "--", "/usr/bin/python3", "-c", QUESTIONS, timeout=240)
    assert done.stdout.splitlines() == [
        "outward 1000 http://10.0.2.2:3128",
        "yes",
        "no",
        "HTTP/1.1 403 Connection refused yes",
        "HTTP/1.1 403 Connection refused yes",
        "'' False",
    ], done.stderr
    assert done.returncode == 7
    assert (caller.workspace / "made").read_text() == "by the machine"
    assert secret.read_text() == "TOKEN=sk-test-1"


def test_streams_and_signals_pass(caller):
    assert told(caller, "SIGTERM", *MICROVM) == ("told SIGTERM\n", 9)


COMET = """
import os
if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork():
            os._exit(0)
print("over")
"""
"""What it leaves behind is another process each time that somebody looks."""


def test_what_forks_on_and_on_does_not_keep_a_machine(caller):
    done = caller.outward("run", "--quiet", *MICROVM, "--", "/usr/bin/python3", "-c", COMET, timeout=240)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def test_nothing_outlives_outward(caller):
    process = caller.start("run", "--quiet", *MICROVM, "--", *listening())
    ready(process)
    assert processes_with("mount_tag=view")
    process.kill()
    process.communicate(timeout=240)
    until(lambda: not processes_with("mount_tag=view"))
