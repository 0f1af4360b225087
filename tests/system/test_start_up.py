"""What ``outward run`` does not wait for: start-up time is a feature, and modules are what it is spent on."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from outward.cage import Cage, Command
from outward.session import loading
from tests.support.caller import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("bubblewrap")

LATER = {
    # Modules that cost milliseconds and have no business before the sandbox is being built.
    "asyncio.events",
    "click",
    "cryptography",
    "dataclasses",
    "hashlib",
    "idna",
    "inspect",
    "outward.gateway.client",
    "outward.audit.verify",
    "outward.credentials.injector",
    "platform",
    "rich",
    "secrets",
    "shutil",
    "ssl",
    "subprocess",
    "tomllib",
    "uvloop.loop",
}


def imported(caller, *arguments: str) -> set[str]:
    """The modules that ``outward`` loads, in a state directory that has been used before.

    Python does not list those that are asked for by a name in a variable: a verb's, and the first of what they bring.
    """
    argv = caller.argv(*arguments)
    argv[argv.index(caller.python) + 1 : argv.index(caller.python) + 1] = ["-X", "importtime"]
    caller.outward(*arguments)
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=caller.workspace,
        env=caller.env(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"import time: +\d+ \| +\d+ \| +(\S+)", done.stderr))


@pytest.mark.parametrize("policy", ["", "version: 1\ndestinations: [{host: a.example, allow: ['GET /**']}]\n"])
def test_what_is_loaded_before_the_sandbox_is_built(caller, policy):
    options = ["--policy", str(caller.file(caller.home / "policy.yaml", policy))] if policy else []
    found = imported(caller, "run", *options, "--dry-run", "--", "true")
    assert {"outward.session", "outward.policy"} <= found
    assert found & LATER == set()
    assert ("ruamel.yaml" in found) == bool(policy)


def test_the_gateway_is_loaded_for_a_command_that_asks_it(caller):
    ask = "import socket; socket.create_connection(('127.0.0.1', 3128)).sendall(b'x')"
    found = imported(caller, "run", "--", "/usr/bin/python3", "-c", ask)
    assert {"asyncio.events", "outward.gateway.client", "uvloop.loop"} <= found


@pytest.fixture(autouse=True)
def unloaded(monkeypatch):
    """The gateway of this process is loaded already: in its place something that there is not is looked for."""
    monkeypatch.setattr(loading, "import_module", lambda _: find_spec("outward_test_nothing"))


@contextmanager
def ended(*command: str) -> Iterator[Cage]:
    """A cage whose command has ended, though nobody has been told yet."""
    with Cage.open(Command(command)) as cage:
        cage.release()
        os.waitid(os.P_PID, cage.pid, os.WEXITED | os.WNOWAIT)
        yield cage


def test_a_command_that_is_over_does_not_wait_for_the_gateway():
    with ended("/bin/true") as cage:
        assert cage.over
        assert not loading.load_gateway(cage)
        assert cage.wait() == 0


def test_a_command_that_goes_on_gets_it():
    with Cage.open(Command(("/bin/sleep", "1000"))) as cage:
        cage.release()
        assert not cage.over
        assert loading.load_gateway(cage)


def test_what_a_command_left_in_the_queue_is_served():
    dial = "import socket; socket.create_connection(('127.0.0.1', 3128)).sendall(b'x')"
    with ended("/usr/bin/python3", "-I", "-S", "-c", dial) as cage:
        assert not cage.over
        assert loading.load_gateway(cage)
