"""What a machine refuses by itself: the program that says so, in a network namespace instead of a machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from outward.backends.microvm import routing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs("bubblewrap", "unshare", "ip", "ipv6")

FAR = {"-4": "192.0.2.1", "-6": "2001:db8::1"}
ASKING = """
import socket, sys
for family, far, here in ((socket.AF_INET, "192.0.2.1", "127.0.0.1"), (socket.AF_INET6, "2001:db8::1", "::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect((far, 443))
        sock.send(b"x")
        try:
            print(sock.recv(1))
        except OSError as error:
            print(error.strerror)
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        try:
            print(sock.sendto(bytes(8), (far, 0)))
        except OSError as error:
            print(error.strerror)
    with socket.create_server((here, 0), family=family) as server:
        with socket.create_connection((here, server.getsockname()[1])):
            print("connected")
"""
REFUSED = ["Connection refused", "Network is unreachable", "connected"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "routing"
    path.write_bytes(routing.program())
    path.chmod(0o755)
    return path


def alone(script: str, *arguments: object) -> str:
    """What a shell says in a network of its own, with an interface that leads to nobody."""
    pair = "ip link set lo up; ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up\n"
    near = "ip addr add 10.0.2.15/24 dev eth0; ip addr add fec0::15/64 dev eth0 nodad\n"
    route = "ip route add default via 10.0.2.2; ip -6 route add default via fec0::2\n"
    argv = [
        "unshare",
        "--map-root-user",
        "--net",
        "sh",
        "-ec",
        pair + near + route + script,
        "sh",
        *map(str, arguments),
    ]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def test_datagrams_are_refused_at_once_and_connections_go_to_the_router(program):
    said = alone('"$1"; "$2" -c "$3"; for v in -4 -6; do ip $v route get to $4 ipproto tcp; shift; done',
                 program, sys.executable, ASKING, FAR["-4"], FAR["-6"])  # fmt: skip
    assert said.splitlines()[:6] == REFUSED * 2
    assert "via 10.0.2.2 dev eth0" in said
    assert "via fec0::2 dev eth0" in said


def test_without_it_they_leave(program):
    left = "for v in -4 -6; do ip $v route get to $1 ipproto udp; shift; done"
    assert alone(left, FAR["-4"], FAR["-6"]).count("dev eth0") == 2
    assert alone('p=$1; shift; "$p"; ' + left, program, FAR["-4"], FAR["-6"]).count("dev lo") == 2


def test_questions_to_resolvers_leave(program):
    said = alone(
        '"$1"; ip route get to 192.0.2.1 ipproto udp dport 53; ip -6 route get to 2001:db8::1 ipproto udp dport 53',
        program,
    )
    assert said.count("dev eth0") == 2


def test_what_the_kernel_does_not_do_is_told(program):
    """The rules are there already."""
    with pytest.raises(subprocess.CalledProcessError) as failure:
        alone('"$1"; "$1"', program)
    assert failure.value.returncode == 14
