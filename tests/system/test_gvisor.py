"""The gVisor backend, by itself: what is particular to it."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid

import pytest

from outward.backends import Place, gvisor
from outward.core import HostError
from outward.isolation.runsc import Runsc
from tests.system.test_end import processes_with, ready, told, until
from tests.system.test_keeper import SECRET, await_readable, replace, session

pytestmark = pytest.mark.needs("runsc")

GVISOR = ("--backend", "gvisor")


def test_another_kernel_takes_the_calls(caller):
    kernel = caller.inside("uname -r", *GVISOR).stdout
    assert kernel
    assert kernel != caller.inside("uname -r").stdout


def test_the_agent_is_who_it_is_everywhere(caller):
    done = caller.inside("id -un; id -u; touch made ~/kept; stat -c %u made 2>&1 >/dev/null || :", *GVISOR)
    assert done.stdout.startswith("agent\n1000\n"), done.stderr
    made = (caller.workspace / "made").stat()
    assert made.st_uid == (os.getuid() if caller.uid is None else caller.uid)
    assert caller.inside("test -f ~/kept", *GVISOR).returncode == 0


@pytest.mark.parametrize(("line", "status"), [("exit 3", 3), ("kill -TERM $$", 143), ("exit 128", 128)])
def test_the_exit_status_is_the_command_s(caller, line, status):
    assert caller.inside(line, *GVISOR).returncode == status


def test_hidden_files_are_empty_and_stay_so(caller):
    secret = caller.file(caller.workspace / ".env", "TOKEN=sk-test-1")
    caller.file(caller.workspace / "shown", "TOKEN=sk-test-1")
    assert caller.inside("cat shown", *GVISOR).stdout == "TOKEN=sk-test-1"
    assert caller.inside("cat .env; echo changed >.env", *GVISOR).stdout == ""
    assert secret.read_text() == "TOKEN=sk-test-1"


@pytest.mark.parametrize("mode", ["write", "read", "review"])
def test_what_appears_later_is_hidden_too(caller, mode):
    names = [".env", "sub/.env", "new/.npmrc"]
    caller.file(caller.workspace / ".env", SECRET)
    caller.file(caller.workspace / "sub" / "plain", "")
    with session(caller, *GVISOR, "--mode", mode) as shell:
        for name in names:
            replace(caller, caller.workspace / name, SECRET)
        for name in names:
            shell.never_says(f"cat {name}")


def test_without_the_process_that_hides_it_it_is_read(caller):
    caller.file(caller.workspace / ".env", SECRET)
    with session(caller, *GVISOR) as shell:
        os.kill(shell.keeper, signal.SIGSTOP)
        replace(caller, caller.workspace / ".env", SECRET)
        await_readable(shell, "cat .env")
        os.kill(shell.keeper, signal.SIGCONT)
        shell.never_says("cat .env")


def test_a_repository_that_lacks_what_git_makes_is_no_obstacle(caller):
    caller.file(caller.workspace / ".git" / "config", "[core]\n")
    assert caller.inside("echo evil >>.git/config; echo ran", *GVISOR).stdout == "ran\n"
    assert (caller.workspace / ".git/config").read_text() == "[core]\n"


def test_only_the_workspace_and_the_home_are_written(caller):
    done = caller.inside(
        "for d in / /usr /etc /proc/sys; do touch $d/x 2>/dev/null && echo $d; done; touch /tmp/x /var/tmp/x", *GVISOR
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_what_is_in_memory_has_an_end(caller):
    directories = ["/tmp", "/var", "/var/tmp", "/run", "/dev/shm"]
    # Each is filled by itself: of what was found in one before, nothing is left.
    line = (
        f"for to in {' '.join(directories)}; do "
        "for part in 1 2 3; do head -c 4194304 /dev/zero >$to/$part || { echo $to; break; }; done; "
        "rm $to/[123]; done"
    )
    assert caller.inside(line, *GVISOR).stdout == ""
    policy = caller.file(caller.home / "policy.yaml", "version: 1\nsandbox: {limits: {disk: 8M}}\n")
    refused = caller.inside(line, *GVISOR, "--policy", str(policy))
    assert refused.stdout.split() == directories
    assert refused.stderr.count("No space left") == len(directories)


def test_what_was_written_to_a_file_before_stays(caller, tmp_path):
    """gVisor writes at a position of its own: a file that is given to it as it is would be overwritten."""
    log = tmp_path / "log"
    with log.open("w") as file:
        file.write("before\n")
        file.flush()
        argv = caller.argv("run", "--quiet", *GVISOR, "--", "sh", "-c", "echo out; echo problem >&2")
        subprocess.run(argv, stdout=file, stderr=subprocess.DEVNULL, cwd=caller.workspace, env=caller.env(), timeout=60)
        file.seek(0, os.SEEK_END)
        file.write("after\n")
    assert log.read_text() == "before\nout\nafter\n"


def test_signals_reach_the_command(caller):
    assert told(caller, "SIGTERM", *GVISOR) == ("told SIGTERM\n", 9)


def test_the_time_limit_ends_it(caller):
    assert caller.inside("sleep 1000", *GVISOR, "--timeout", "3s").returncode == 124


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_outward(caller, number):
    marker = f"marker-{uuid.uuid4()}"
    process = caller.start("run", "--quiet", *GVISOR, "--", "sh", "-c", f"sleep 1000 & echo ready; wait; : {marker}")
    ready(process)
    launched = processes_with(str(caller.state / "gvisor"))
    assert launched
    process.send_signal(number)
    process.communicate(timeout=60)
    until(lambda: not processes_with(str(caller.state / "gvisor")))
    assert list((caller.state / "gvisor").iterdir()) == []


def test_connections_come_to_the_gateway_and_nothing_else_leaves(caller):
    program = """
import socket
def told(what, *arguments):
    try:
        sock = socket.socket(*arguments)
        sock.settimeout(5)
        what(sock)
        return "yes"
    except OSError as error:
        return "no"
print(told(lambda s: s.connect(("127.0.0.1", 3128)), socket.AF_INET, socket.SOCK_STREAM))
print(told(lambda s: (s.connect(("192.0.2.1", 443)), s.send(b"x"), s.recv(1)), socket.AF_INET, socket.SOCK_DGRAM))
print(told(lambda s: None, 40, socket.SOCK_STREAM))
print(told(lambda s: None, 17, socket.SOCK_RAW))
"""
    done = caller.outward("run", "--quiet", *GVISOR, "--", "/usr/bin/python3", "-c", program)
    assert done.stdout.split() == ["yes", "no", "no", "no"], done.stderr


@pytest.mark.parametrize(
    ("program", "expected"), [("exec sleep 1000", False), ("exit 1", False), ("echo 1 >${7#*=}", True)]
)
def test_a_platform_that_does_not_end_in_time_does_not_work(tmp_path, monkeypatch, program, expected):
    fake = tmp_path / "runsc"
    fake.write_text(f"#!/bin/sh\n{program}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(gvisor, "_PROBE_TIME", 2.0)
    backend = gvisor.GVisor(Runsc(str(fake), "/usr/bin/unshare", "/usr/bin/nsenter"), Place(tmp_path, {}))
    if expected:
        assert backend.probe().remarks == ("platform systrap",)
    else:
        with pytest.raises(HostError, match="does not work"):
            backend.probe()
    assert not processes_with(str(fake))
