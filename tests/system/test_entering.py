"""Namespaces that somebody else has made become cages."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outward.cage import PORT, Cage, Command, Sockets, enter
from outward.cage.rules import TABLE
from outward.core import HostError
from tests.support.caller import Caller, new_caller

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("nft")

UNSHARE = ("unshare", "--user", "--map-root-user", "--net")
LIMIT = 30


class Holder:
    """Somebody's process in a network namespace of its own."""

    def __init__(self, set_up: str = "true") -> None:
        self._process = subprocess.Popen(
            [*UNSHARE, "sh", "-c", f"{set_up}; echo; exec sleep 1000"], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.path = Path(f"/proc/{self._process.pid}/ns/net")

    def run(self, *argv: str) -> str:
        command = ("nsenter", f"--target={self._process.pid}", "--user", "--net", "--preserve-credentials", *argv)
        path = {"PATH": os.environ["PATH"] + ":/usr/sbin"}
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True, env=path).stdout

    def dial(self, address: str, port: int) -> str:
        """What becomes of a connection: nothing said, or the error's name."""
        code = (
            "import errno, socket, sys\n"
            "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 20).close()\n"
            "except OSError as error: print(errno.errorcode.get(error.errno, error))"
        )
        return self.run(sys.executable, "-c", code, address, str(port)).strip()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def holder() -> Iterator[Holder]:
    holder = Holder()
    yield holder
    holder.close()


@pytest.fixture
def sockets(holder: Holder) -> Iterator[Sockets]:
    sockets = enter(holder.path)
    yield sockets
    sockets.close()


def test_what_is_dialled_in_it_is_accepted_here(holder: Holder, sockets: Sockets) -> None:
    for address, port, where in (
        ("127.0.0.1", PORT, sockets.proxy),
        ("203.0.113.5", 443, sockets.transparent),
        ("127.0.0.1", 53, sockets.dns[1:]),
        ("203.0.113.5", 53, sockets.dns[1:]),
    ):
        assert holder.dial(address, port) == ""
        where[0].accept()[0].close()


@pytest.mark.needs("ipv6")
def test_over_ipv6_as_well(holder: Holder, sockets: Sockets) -> None:
    assert holder.dial("2001:db8::5", 443) == ""
    sockets.transparent[1].accept()[0].close()


def test_without_being_entered_there_is_no_way(holder: Holder) -> None:
    assert holder.dial("203.0.113.5", 443) == "ENETUNREACH"


def test_sockets_that_nobody_holds_refuse(holder: Holder) -> None:
    enter(holder.path).close()
    assert holder.dial("203.0.113.5", 443) == "ECONNREFUSED"


def test_it_can_be_entered_again(holder: Holder) -> None:
    enter(holder.path).close()
    sockets = enter(holder.path)
    assert holder.dial("203.0.113.5", 443) == ""
    sockets.transparent[0].accept()[0].close()
    sockets.close()


def test_not_while_somebody_else_has_its_sockets(holder: Holder, sockets: Sockets) -> None:
    with pytest.raises(HostError, match="listen in the cage: port 3128: Address already in use"):
        enter(holder.path)


def test_the_network_of_this_machine_is_never_made_a_cage() -> None:
    with pytest.raises(HostError, match="this machine's own network"):
        enter(Path("/proc/self/ns/net"))


def test_a_namespace_that_has_a_way_out_is_refused() -> None:
    holder = Holder("ip link add out0 type veth peer name out1")
    try:
        with pytest.raises(HostError, match=r"out[01], which may lead out"):
            enter(holder.path)
    finally:
        holder.close()


def test_a_namespace_that_is_not_there() -> None:
    with pytest.raises(HostError, match="No such file"):
        enter(Path("/proc/self/ns/nothing"))


def test_a_cage_of_ours_is_one_like_any_other() -> None:
    with Cage.open(Command(("/bin/sleep", "1000"))) as cage:
        path = Path(f"/proc/{cage.pid}/ns/net")
        cage.release()  # until then its process may have them, too
        cage.sockets.close()
        sockets = enter(path)
        assert sockets.kinds == cage.sockets.kinds
        sockets.close()


def test_what_the_kernel_has_is_what_is_documented(holder: Holder, sockets: Sockets) -> None:
    """Read back by the packet filter's own program, and compared with the text in the module's docstring."""
    listed = holder.run("nft", "list", "table", "ip", TABLE)
    module = sys.modules["outward.cage.rules"].__doc__ or ""
    documented = re.search(r"    table ip outward \{.*?\n    \}\n", module, re.DOTALL)
    assert documented is not None
    assert _words(listed) == _words(documented.group())
    assert len(json.loads(holder.run("nft", "--json", "list", "tables"))["nftables"]) == 3, "one for each family"


@pytest.mark.needs("ipv6")
def test_the_rules_of_ipv6_say_the_same(holder: Holder, sockets: Sockets) -> None:
    four, six = (_words(holder.run("nft", "list", "table", family, TABLE)) for family in ("ip", "ip6"))
    translated = " ".join(four).replace("table ip ", "table ip6 ").replace("ip daddr 127.0.0.0/8", "ip6 daddr ::1")
    assert translated.replace("icmp port", "icmpv6 port") == " ".join(six)


def _words(rules: str) -> list[str]:
    """Without what differs between versions of the program in how it writes the same."""
    same = {"dstnat": "-100", "filter;": "0;", "dstnat;": "-100;"}
    text = re.sub(r"meta l4proto (\w+) (?:th|\1) dport", r"\1 dport", rules)
    text = re.sub(r"reject(?: with icmp(?:v6)?(?: type)? port-unreachable)?\b", "reject", text)
    return [same.get(word, word) for word in text.split()]


def test_the_descriptors_are_ours_alone(holder: Holder) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    sockets = enter(holder.path)
    assert not any(os.get_inheritable(sock.fileno()) for sock in sockets.each())
    assert all(isinstance(sock, socket.socket) for sock in sockets.each())
    sockets.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


SOMEBODY_ENTERS = """
import socket, subprocess
from pathlib import Path
from outward.cage import enter
UNSHARE = ("unshare", "--user", "--map-root-user", "--net")
holder = subprocess.Popen([*UNSHARE, "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
holder.stdout.readline()
try:
    sockets = enter(Path(f"/proc/{holder.pid}/ns/net"))
    inside = ("nsenter", f"--target={holder.pid}", "--user", "--net", "--preserve-credentials")
    dial = ("bash", "-c", "exec 3<>/dev/tcp/203.0.113.5/443")
    subprocess.run([*inside, *dial], check=True)
    sockets.transparent[0].accept()
    print("accepted")
finally:
    holder.kill()
"""


def test_somebody_unprivileged_enters_what_is_theirs() -> None:
    """As podman without root has it: the namespace belongs to a user namespace of the same person."""
    with new_caller(Caller, unprivileged=True) as caller:
        argv = caller.argv()
        argv[argv.index("-c") + 1] = SOMEBODY_ENTERS
        env = caller.env() | {"PATH": os.environ["PATH"]}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, env=env, cwd="/")
        assert done.stdout == "accepted\n", done.stderr


def test_somebody_unprivileged_does_not_enter_what_is_not_theirs(holder: Holder) -> None:
    with new_caller(Caller, unprivileged=True) as caller:
        argv = caller.argv()
        argv[argv.index("-c") + 1] = (
            f"from pathlib import Path; from outward.cage import enter; enter(Path({str(holder.path)!r}))"
        )
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, env=caller.env(), cwd="/")
        assert "does not let us find the network namespace" in done.stderr
