"""Programs that know nothing of a gateway, in a network whose packet filter brings them to it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, cast

import pytest
import trustme

from outward.audit import Journal
from outward.core import Action, Destination, Rule
from outward.credentials import CredentialStore
from outward.gateway import Gateway, TransparentFront, listeners
from outward.pki import Authority
from outward.policy import Policy
from tests.conftest import CLIENTS
from tests.support.client import Connection
from tests.support.hello import ECH, GREASE_ECH, client_hello, extension, protocols, server_name
from tests.support.http2 import Http2Client
from tests.support.namespace import PORT, Namespace
from tests.support.serve import Serve
from tests.support.upstream import Handler, Seen, Upstream, echo

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.needs("nft")

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
API, API6, EVIL = "203.0.113.5", "2001:db8::5", "203.0.113.66"
CLIENTS_DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"
LISTEN = ("--transparent", f"127.0.0.1:{PORT}", "--transparent", f"[::1]:{PORT}")
POLICY = """
secrets:
  key: {{env: KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{tls}
    ca: CA
    allow: ["GET /v1/**"]
    inject: [{{header: x-api-key, secret: key}}]
  - {{host: plain.test, scheme: http, connect_to: 127.0.0.1:{plain}, allow: [GET /a]}}
  - {{host: passed.test, connect_to: 127.0.0.1:{tls}, tls: passthrough, allow: connect}}
  - {{host: 203.0.113.7, connect_to: 127.0.0.1:{tls}, ca: CA, allow: ["GET /v1/**"]}}
  - {{host: 203.0.113.22, port: 22, connect_to: 127.0.0.1:{banner}, tls: passthrough, allow: connect}}
  - {{host: 203.0.113.23, connect_to: 127.0.0.1:{tls}, tls: passthrough, allow: connect}}
  - {{host: 203.0.113.24, connect_to: 127.0.0.1:{sink}, tls: passthrough, allow: connect}}
  - {{host: raw.test, connect_to: 127.0.0.1:{sink}, tls: passthrough, allow: connect}}
  - {{host: loop.test, scheme: http, connect_to: "203.0.113.99:80", allow: [GET /**]}}
  - {{host: 203.0.113.98, port: 22, connect_to: "203.0.113.98:22", tls: passthrough, allow: connect}}
"""


@dataclass
class Site:
    """A captured network, the servers in it, and what its policy says of them."""

    network: Namespace
    tls: Upstream
    plain: Upstream
    banner: Upstream
    sink: Upstream
    ca_file: Path
    gateway: Serve

    def dial(self, host: str = API, port: int = 443) -> Connection:
        return Connection(self.network.connect(host, port))

    def tls_to(self, sni: str | None, host: str = API, port: int = 443) -> Connection:
        connection = self.dial(host, port)
        connection.start_tls(self.gateway.ca, sni)
        return connection

    def records(self) -> list[dict[str, Any]]:
        return self.gateway.journal()

    def ended(self) -> dict[str, Any]:
        """The last record, once there is an end of something."""
        until(lambda: any(record["phase"] == "end" for record in self.records()))
        return self.records()[-1]

    def reached(self) -> int:
        return self.tls.connections + self.plain.connections + self.banner.connections


async def greet_first(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Like SSH and SMTP: the server begins."""
    writer.write(b"SSH-2.0-here\r\n")
    await writer.drain()
    if line := await reader.readline():
        writer.write(b"you said " + line)
        await writer.drain()


async def swallow(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes whatever comes."""
    while data := await reader.read(1 << 16):
        server.seen.append(Seen(body=data))


@pytest.fixture(scope="session")
def server_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Namespace]:
    names = {"api.test": API, "api6.test": API6, "plain.test": API, "passed.test": API, "evil.test": EVIL}
    with Namespace(tmp_path, names) as network:
        yield network


@pytest.fixture
def upstream(network: Namespace, server_ca: trustme.CA) -> Iterator[Callable[..., Upstream]]:
    started: list[Upstream] = []

    def start(*names: str, handler: Handler = echo, at: tuple[str, int] = ("127.0.0.1", 0)) -> Upstream:
        sock = network.listen(*at)
        started.append(Upstream(server_ca if names else None, *names, handler=handler, sock=sock))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def site(
    network: Namespace, upstream: Callable[..., Upstream], server_ca: trustme.CA, tmp_path: Path
) -> Iterator[Site]:
    tls = upstream("api.test", "passed.test", "203.0.113.7", "anything.test")
    plain, banner, sink = upstream(), upstream(handler=greet_first), upstream(handler=swallow)
    ca_file = tmp_path / "server-ca.pem"
    server_ca.cert_pem.write_to_path(str(ca_file))
    policy = POLICY.format(tls=tls.port, plain=plain.port, banner=banner.port, sink=sink.port).replace(
        "CA", str(ca_file)
    )
    network.redirect()
    gateway = Serve(tmp_path, policy, *LISTEN, env={"KEY": KEY}, enter=network.enter)
    yield Site(network, tls, plain, banner, sink, ca_file, gateway)
    gateway.stop()


# -- real clients without any setting but trust


def curl(site: Site, *arguments: str):
    base = ("curl", "--silent", "--show-error", "--max-time", "20", "--cacert", site.gateway.ca)
    return site.network.run(*base, *arguments, env={"PATH": "/usr/bin:/bin"})


@pytest.mark.needs("curl")
def test_curl_without_proxy(site: Site) -> None:
    done = curl(site, "https://api.test/v1/models")
    assert done.returncode == 0, done.stderr
    assert site.tls.seen[0]["x-api-key"] == KEY
    assert KEY not in done.stdout
    assert "path_not_allowed" in curl(site, "https://api.test/v2/models").stdout
    assert "host_not_allowed" in curl(site, "https://evil.test/v1/models").stdout, "who is refused gets to read why"
    assert "port_not_allowed" in curl(site, "https://api.test:8443/v1/models").stdout
    assert len(site.tls.seen) == 1


@pytest.mark.needs("curl", "ipv6")
def test_curl_over_ipv6(site: Site) -> None:
    there = ("--resolve", f"api.test:443:[{API6}]", "--resolve", f"evil.test:443:[{API6}]", "--ipv6")
    done = curl(site, *there, "https://api.test/v1/models")
    assert done.returncode == 0, done.stderr
    assert "host_not_allowed" in curl(site, *there, "https://evil.test/v1/models").stdout
    refused = curl(site, "--globoff", f"https://[{API6}]/v1/models")
    assert "host_not_allowed" in refused.stdout, refused.stderr
    assert site.ended()["host"] == API6


@pytest.mark.needs("curl")
def test_curl_over_plain_http(site: Site) -> None:
    assert curl(site, "http://plain.test/a").returncode == 0
    assert "path_not_allowed" in curl(site, "http://plain.test/b").stdout
    assert "host_not_allowed" in curl(site, "http://evil.test/a").stdout
    assert [seen.target for seen in site.plain.seen] == ["/a"]


FETCH = "fetch(process.argv[1]).then(r => r.text().then(t => console.log(r.status, t)))"


@pytest.mark.needs("node24")
def test_fetch_of_node_which_ignores_proxies(site: Site) -> None:
    def fetch(url: str):
        return site.network.run(str(CLIENTS / "node"), "-e", FETCH, url, env={"NODE_EXTRA_CA_CERTS": site.gateway.ca})

    done = fetch("https://api.test/v1/models")
    assert done.stdout.startswith("200 "), done.stderr
    assert site.tls.seen[0]["x-api-key"] == KEY
    assert fetch("https://evil.test/v1/models").stdout.startswith("403 ")
    assert len(site.tls.seen) == 1


@pytest.mark.needs("curl")
def test_without_trust_there_is_no_answer_and_a_record(site: Site) -> None:
    done = curl(site, "--cacert", str(site.ca_file), "https://evil.test/")
    assert done.returncode == 60
    record = site.ended()
    assert (record["host"], record["verdict"], record["code"]) == ("evil.test", "deny", "host_not_allowed")
    assert re.search("did not complete TLS|closed after TLS", record["error"])  # which one depends on curl's age


def test_the_rules_of_the_documents_capture(
    network: Namespace, remote: tuple[Upstream, Policy], tmp_path: Path
) -> None:
    (rules,) = re.findall(r"^```nft\n(.*?)^```", CLIENTS_DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    network.filter(rules.replace("skuid agent", "skuid 0"))
    with outside(tmp_path, remote[1], network.listen("127.0.0.1", PORT), network.listen("::1", PORT)) as (ca, _):
        ask_both(network, ca, remote[0], API)
        ask_both(network, ca, remote[0], API6)


# -- who decides where it goes


def test_without_the_filter_the_address_leads_where_the_client_wants(
    network: Namespace, upstream: Callable[..., Upstream], server_ca: trustme.CA, tmp_path: Path
) -> None:
    """What the other tests prevent works without it."""
    sink = upstream("good.test", at=("0.0.0.0", 443))
    ca_file = tmp_path / "ca.pem"
    server_ca.cert_pem.write_to_path(str(ca_file))
    with Connection(network.connect(EVIL, 443)) as client:
        client.start_tls(str(ca_file), "good.test")
        assert client.request("GET", "/v1/x", "good.test").status == 200
    assert len(sink.seen) == 1


def test_a_good_name_at_an_evil_address_goes_to_the_good_one(site: Site, upstream: Callable[..., Upstream]) -> None:
    sink = upstream("api.test", at=("0.0.0.0", 443))
    with site.tls_to("api.test", EVIL) as client:
        assert client.request("GET", "/v1/x", "api.test").status == 200
    assert (sink.connections, len(site.tls.seen)) == (0, 1)


def test_sni_and_host_must_agree(site: Site) -> None:
    with site.tls_to("api.test") as client:
        for host in ("evil.test", "api.test:8443", "203.0.113.5"):
            assert client.request("GET", "/v1/x", host).code == "host_mismatch"
        assert client.request("GET", "/v1/x", "API.test.").status == 200
    with site.tls_to("evil.test") as client:
        assert client.request("GET", "/v1/x", "api.test").status == 421
    assert len(site.tls.seen) == 1


def test_http2_is_judged_alike(site: Site) -> None:
    connection = site.dial()
    connection.start_tls(site.gateway.ca, "api.test", ("h2",))
    with Http2Client(connection, "api.test") as client:
        assert client.request("GET", "/v1/x").status == 200
        assert client.request("GET", "/v2/x").code == "path_not_allowed"
    assert site.tls.seen[0]["x-api-key"] == KEY
    connection = site.dial()
    connection.start_tls(site.gateway.ca, "evil.test", ("h2",))
    with Http2Client(connection, "evil.test") as client:
        assert client.request("GET", "/v1/x").code == "host_not_allowed"
    assert len(site.tls.seen) == 1


def test_the_port_is_the_one_that_was_dialled(site: Site) -> None:
    with site.tls_to("api.test", port=8443) as client:
        assert client.request("GET", "/v1/x", "api.test:8443").code == "port_not_allowed"
        assert client.request("GET", "/v1/x", "api.test").status == 421
    assert site.reached() == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("plain.test", 200),
        ("PLAIN.test.:80", 200),
        ("plain.test:81", 421),
        (EVIL, 421),
        ("evil.test", 403),
        ("a b", 400),
    ],
)
def test_plain_http_is_judged_by_host_and_never_sent_to_the_clients_address(
    site: Site, upstream: Callable[..., Upstream], host: str, status: int
) -> None:
    sink = upstream(at=("0.0.0.0", 80))
    with site.dial("203.0.113.77", 80) as client:
        assert client.request("GET", "/a", host).status == status
    assert sink.connections == 0
    assert len(site.plain.seen) == (status == 200)


def test_plain_http_without_host_is_judged_by_address(site: Site) -> None:
    with site.dial(port=80) as client:
        client.send(b"GET /a HTTP/1.0\r\n\r\n")
        assert client.read_answer().code == "host_not_allowed"
    assert site.ended()["host"] == API


def test_tls_without_a_name_is_judged_by_address(site: Site) -> None:
    with site.tls_to(None) as client:
        refused = client.request("GET", "/v1/x", API)
        assert (refused.status, refused.code) == (403, "host_not_allowed")
        assert client.request("GET", "/v1/x", "api.test").code == "host_mismatch", "a name comes too late"
    with site.tls_to(None, "203.0.113.7") as client:
        assert client.request("GET", "/v1/x", "203.0.113.7").status == 200, "spelt out in the policy"
        assert client.request("GET", "/v2/x", "203.0.113.7").code == "path_not_allowed"
    assert len(site.tls.seen) == 1


def test_an_address_as_a_name_is_the_one_that_was_dialled(site: Site) -> None:
    """OpenSSL would not send it; who does must not be judged by the address of another."""
    with site.dial(EVIL) as client:
        client.send(client_hello(server_name(b"203.0.113.7")))
        client.receive()
    record = site.ended()
    assert (record["host"], record["code"]) == (EVIL, "host_not_allowed")
    assert site.reached() == 0


# -- what is no HTTP


@pytest.mark.parametrize("name", [b"evil\0.api.test", b"api.test\0", b"b\xc3\xbccher.test", b"a b", b""])
def test_an_odd_name_is_an_alert(site: Site, name: bytes) -> None:
    with site.dial() as client:
        client.send(client_hello(server_name(name)))
        assert client.receive()
        assert client.buffer == bytes((21, 3, 3, 0, 2, 2, 47))
    record = site.ended()
    assert (record["host"], record["code"]) == (API, "malformed_request")


def test_tls_with_another_protocol_inside_is_an_alert(site: Site) -> None:
    for name, code, alert in ((b"evil.test", "host_not_allowed", 49), (b"api.test", "malformed_request", 47)):
        with site.dial() as client:
            client.send(client_hello(server_name(name), protocols(b"dot", b"imap")))
            assert client.receive()
            assert client.buffer[-1] == alert
        assert site.records()[-1]["code"] == code
    assert site.reached() == 0


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f", b"EHLO a\r\n"])
def test_what_is_neither_tls_nor_http_is_judged_by_address(site: Site, words: bytes) -> None:
    with site.dial(EVIL, 22) as client:
        client.send(words)
        assert client.closed()
    record = site.ended()
    assert (record["host"], record["port"], record["code"]) == (EVIL, 22, "host_not_allowed")
    assert site.reached() == 0


def test_where_the_server_speaks_first_it_is_heard(site: Site) -> None:
    with site.dial("203.0.113.22", 22) as client:
        assert client.receive()
        assert client.buffer == b"SSH-2.0-here\r\n"
        client.send(b"SSH-2.0-there\r\n")
        while b"you said SSH-2.0-there\r\n" not in client.buffer:
            assert client.receive()
    until(lambda: site.records()[-1]["phase"] == "end")
    kinds = [(record["kind"], record["host"], record["verdict"]) for record in site.records()]
    assert kinds == [("tunnel", "203.0.113.22", "allow")] * 2
    with site.dial("203.0.113.22", 2222) as client:
        client.send(b"SSH-2.0-there\r\n")
        assert client.closed()
    assert site.records()[-1]["code"] == "port_not_allowed"


# -- passthrough, and names that are hidden


def test_passthrough_by_name(site: Site) -> None:
    with site.dial() as client:
        client.start_tls(str(site.ca_file), "passed.test")  # the server's own certificate, not ours
        assert client.request("GET", "/any", "passed.test").status == 200
    assert len(site.tls.seen) == 1


HIDING = client_hello(server_name(b"raw.test"), extension(ECH, GREASE_ECH))


def test_an_encrypted_hello_is_not_passed_through_by_name(site: Site) -> None:
    open_hello = client_hello(server_name(b"raw.test"))
    with site.dial() as client:
        client.send(HIDING)
        client.receive()
    assert site.ended()["code"] == "host_mismatch"
    with site.dial() as client:
        client.send(open_hello)
        until(lambda: bool(site.sink.seen))
    assert [seen.body for seen in site.sink.seen] == [open_hello]


def test_by_address_whatever_is_said_is_passed_through(site: Site) -> None:
    with site.dial("203.0.113.24") as client:
        client.send(HIDING)
        until(lambda: bool(site.sink.seen))
    assert site.sink.seen[0].body == HIDING
    with site.dial("203.0.113.23") as client:
        client.start_tls(str(site.ca_file), "anything.test")
        assert client.request("GET", "/any", "anything.test").status == 200


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("ech", "status"), [(False, b"200"), (True, b"421")])
def test_an_encrypted_hello_is_answered_and_goes_nowhere(site: Site, ech: bool, status: bytes) -> None:
    """``s_client`` sends the extension empty: any is one too many."""
    done = site.network.run(
        *(
            "openssl",
            "s_client",
            "-connect",
            f"{API}:443",
            "-servername",
            "api.test",
            "-CAfile",
            site.gateway.ca,
            "-quiet",
        ),
        *(("-serverinfo", str(ECH)) if ech else ()),
        stdin="GET /v1/x HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
    )
    assert done.stdout.startswith(f"HTTP/1.1 {status.decode()}"), done.stderr
    assert len(site.tls.seen) == (not ech)


# -- nothing was redirected, or too often


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.needs("ipv6"))])
def test_a_connection_to_the_gateway_itself_is_refused(site: Site, host: str) -> None:
    with site.dial(host, PORT) as client:
        client.send(b"GET http://plain.test/a HTTP/1.1\r\nHost: plain.test\r\n\r\n")
        refused = client.read_answer()
        assert (refused.status, refused.code) == (403, "address_not_allowed")
        assert "nothing was redirected" in refused.json()["error"]["message"]
    with site.dial(host, PORT) as client:
        client.send(client_hello(server_name(b"api.test")))
        client.receive()
        assert client.buffer[-1] == 49
    assert site.reached() == 0


def test_the_gateways_own_connections_do_not_go_round_in_circles(site: Site) -> None:
    """It runs in the captured network and is not left out: without the check each round leads to the next."""
    with site.dial(EVIL, 80) as client:
        refused = client.request("GET", "/x", "loop.test")
        assert (refused.status, refused.code) == (403, "address_not_allowed")
        assert "left out of what is redirected" in refused.json()["error"]["message"]
    with site.dial("203.0.113.98", 22) as client:
        assert client.closed()
    until(lambda: sum(record["phase"] == "end" for record in site.records()) == 4)
    rounds = [(record["host"], record["code"]) for record in site.records() if record["verdict"] == "deny"]
    assert rounds == [("203.0.113.99", "address_not_allowed"), ("203.0.113.98", "address_not_allowed")]


# -- handed-out sockets, as a session has them


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("the condition never came true")


@contextmanager
def outside(
    directory: Path, policy: Policy, *sockets: socket.socket, greeting_time: float = listeners.GREETING_TIME
) -> Iterator[tuple[str, Path]]:
    """A gateway out here, with listening sockets that were made inside: its certificate, and its journal."""
    authority = Authority.open(directory / "pki")
    started: Queue[Callable[[], object]] = Queue()

    async def serve(journal: Journal) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        store = CredentialStore({}, environment={})
        async with Gateway(policy=policy, store=store, authority=authority, journal=journal) as gateway:
            for sock in sockets:
                gateway.listen_on(sock, TransparentFront("captive"))
                cast(listeners.Listener, gateway._parts[-1]).greeting_time = greeting_time
            started.put(lambda: loop.call_soon_threadsafe(stop.set))
            await stop.wait()

    with Journal.open(directory / "journal", session="outside") as journal:
        thread = threading.Thread(target=lambda: asyncio.run(serve(journal)))
        thread.start()
        stop = started.get(timeout=20)
        try:
            yield str(authority.certificate_file), directory / "journal" / "outside.jsonl"
        finally:
            stop()
            thread.join(20)


def records(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_bytes().splitlines()]


@pytest.fixture
def remote(server_ca: trustme.CA) -> Iterator[tuple[Upstream, Policy]]:
    """A server that is not in the captured network, and the policy that allows it."""
    server = Upstream(server_ca, "api.test")
    rule = Rule("api.test allow[0]", Action.ALLOW, frozenset({"GET"}), "/v1/**")
    ca = server_ca.cert_pem.bytes().decode()
    where = ("127.0.0.1", server.port)
    yield (
        server,
        Policy(destinations=(Destination("api.test", "api.test", 443, "https", (rule,), connect_to=where, ca=ca),)),
    )
    server.close()


def ask_both(network: Namespace, ca: str, server: Upstream, address: str) -> None:
    """The policy's host is reached, another one is not."""
    for name, status in (("api.test", 200), ("evil.test", 403)):
        with Connection(network.connect(address, 443)) as client:
            client.start_tls(ca, name)
            assert client.request("GET", "/v1/x", name).status == status
    assert [seen["host"] for seen in server.seen] == ["api.test"]
    server.seen.clear()


def test_sockets_that_were_made_inside(network: Namespace, remote: tuple[Upstream, Policy], tmp_path: Path) -> None:
    network.redirect()
    server, policy = remote
    with outside(tmp_path, policy, network.listen("127.0.0.1", PORT), network.listen("::1", PORT)) as (ca, journal):
        ask_both(network, ca, server, API)
        ask_both(network, ca, server, API6)
        with Connection(network.connect("127.0.0.1", PORT)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
            assert client.read_answer().code == "address_not_allowed"
    assert {record["agent"] for record in records(journal)} == {"captive"}


def test_without_a_filter_where_every_address_is_local(
    network: Namespace, remote: tuple[Upstream, Policy], tmp_path: Path
) -> None:
    """The socket's own end has the address that the client dialled."""
    server, policy = remote
    with outside(tmp_path, policy, network.listen("0.0.0.0", 443), network.listen("::", 443)) as (ca, journal):
        ask_both(network, ca, server, API)
        ask_both(network, ca, server, API6)
        with Connection(network.connect("203.0.113.80", 443)) as client:
            client.send(b"not TLS\n")
            assert client.closed()
        assert records(journal)[-1]["host"] == "203.0.113.80"
        with Connection(network.connect("127.0.0.1", 443)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
            assert client.read_answer().code == "address_not_allowed"


def test_silence_is_refused_by_address_and_recorded(
    network: Namespace, remote: tuple[Upstream, Policy], tmp_path: Path
) -> None:
    network.redirect()
    with outside(tmp_path, remote[1], network.listen("127.0.0.1", PORT), greeting_time=0.3) as (_, journal):
        with Connection(network.connect(EVIL, 25)) as client:
            assert client.closed()
        (record,) = records(journal)
    assert (record["host"], record["port"], record["code"]) == (EVIL, 25, "host_not_allowed")
    assert "said nothing" in record["error"]


def test_a_connection_that_nobody_used_is_no_refusal(
    network: Namespace, remote: tuple[Upstream, Policy], tmp_path: Path
) -> None:
    """Clients dial both address families and drop one; those who stop say nothing either."""
    network.redirect()
    with outside(tmp_path, remote[1], network.listen("127.0.0.1", PORT)) as (ca, journal):
        Connection(network.connect(EVIL, 443)).sock.close()
        left = Connection(network.connect(EVIL, 443))
        with Connection(network.connect(API, 443)) as client:
            client.start_tls(ca, "api.test")
            assert client.request("GET", "/v1/x", "api.test").status == 200
    left.sock.close()
    assert {record["host"] for record in records(journal)} == {"api.test"}
