"""The gateway and real servers of HTTP/2, and which version of HTTP is spoken with whom."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from h2.settings import SettingCodes

from tests.conftest import CLIENTS
from tests.support.client import push
from tests.support.company import CompanyProxy
from tests.support.http2 import http2 as http2_client
from tests.support.http2_server import Connection, Http2Server, Stream, echo
from tests.support.upstream import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

KEY = "sk-ant-test-REAL-0123456789abcdefghij"

POLICY = """
secrets:
  key: {{env: KEY, expose: API_KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["GET,HEAD,PUT,POST /v1/**"]
    inject: [{{header: x-api-key, secret: key}}]
"""
REFUSED_STREAM = 7


@pytest.fixture
def http2(server_ca: trustme.CA) -> Iterator[Callable[..., Http2Server]]:
    started: list[Http2Server] = []

    def start(*names: str, **options: Any) -> Http2Server:
        server = Http2Server(server_ca, *(names or ("api.test",)), **options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()
        assert server.errors == []


@pytest.fixture
def api(http2: Callable[..., Http2Server]) -> Http2Server:
    return http2()


@pytest.fixture
def gateway(serve: Callable[..., Serve], api: Http2Server) -> Serve:
    return serve(POLICY.format(port=api.port), env={"KEY": KEY})


def served(server: Http2Server) -> list[Connection]:
    """The connections on which something was asked."""
    return [one for one in server.connections if one.streams]


# -- which version of HTTP


def test_a_client_of_http1_and_a_server_of_http2_alone(gateway: Serve, api: Http2Server) -> None:
    shown = gateway.get("api.test", "/v1/models?limit=1", "x-api-key: mine\r\nX-Stays: 1\r\nTE: trailers\r\n")
    assert shown.status == 200
    (seen,) = api.seen
    assert seen.headers[:4] == [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.test"),
        (":path", "/v1/models?limit=1"),
    ]
    assert sorted(seen.headers[4:]) == [
        ("accept-encoding", "identity"),
        ("te", "trailers"),
        ("x-api-key", KEY),
        ("x-stays", "1"),
    ]
    assert KEY.encode() not in shown.body, "the echo is scrubbed"
    assert shown.header("content-length") == str(len(shown.body)), "an answer that is whole is announced"


def test_bodies_go_through_and_what_the_server_speaks_is_remembered(gateway: Serve, api: Http2Server) -> None:
    with gateway.tunnel("api.test") as client:
        for size in (10_000, 300_000):
            shown = client.request("POST", "/v1/x", "api.test", body=b"x" * size)
            assert len(shown.json()["body"]) == size
        head = b"POST /v1/x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"5\r\nhello\r\n0\r\n\r\n")
        assert client.read_answer().json()["body"] == "hello"
        client.send(head + b"0\r\n\r\n")
        assert client.read_answer().json()["body"] == ""
        assert client.request("HEAD", "/v1/x", "api.test").body == b""
    assert gateway.get("api.test", "/v1/x").status == 200
    assert len(served(api)) == 1
    assert len(api.connections) == 2, "HTTP/1.1 was tried once"


def test_a_body_that_is_gone_cannot_be_sent_again_but_the_next_one_arrives(gateway: Serve, api: Http2Server) -> None:
    refused = gateway.get("api.test", "/v1/x", method="POST", body=b"x" * 300_000)
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    assert api.seen == []
    shown = gateway.get("api.test", "/v1/x", method="POST", body=b"x" * 300_000)
    assert len(shown.json()["body"]) == 300_000


def test_trailers_reach_a_client_of_http1(serve: Callable[..., Serve], http2: Callable[..., Http2Server]) -> None:
    async def handler(_: Http2Server, stream: Stream) -> None:
        stream.head(103, ("link", "</a>"))
        stream.head(200)
        await stream.send(b"hello")
        stream.trailers(("x-checksum", "1"), ("x-key", stream["x-api-key"]), ("set-cookie", "never"))

    gateway = serve(POLICY.format(port=http2(handler=handler).port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        client.send(b"GET /v1/x HTTP/1.1\r\nHost: api.test\r\nTE: trailers\r\n\r\n")
        assert client.read_head()[0] == 103
        assert client.read_answer().body == b"hello"
    checksum, key = client.trailers
    assert checksum == b"x-checksum: 1"
    assert key.startswith(b"x-key: sk-ant-")
    assert KEY.encode() not in key


NODE = """
const http2 = require('http2'), fs = require('fs')
const pem = fs.readFileSync(process.argv[1])
const server = http2.createSecureServer({key: pem, cert: pem}, (request, response) => response.end('by node'))
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""


@contextmanager
def node_server(ca: trustme.CA, directory: Path) -> Iterator[int]:
    """A server that says that it speaks HTTP/2 alone (the alert of RFC 7301 §3.2). Gives its port."""
    pem = directory / "server.pem"
    ca.issue_cert("api.test").private_key_and_cert_chain_pem.write_to_path(str(pem))
    line = [str(CLIENTS / "node"), "-e", NODE, str(pem)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.needs("node24")
def test_a_server_that_says_it_speaks_http2_alone(
    serve: Callable[..., Serve], server_ca: trustme.CA, tmp_path: Path
) -> None:
    with node_server(server_ca, tmp_path) as port:
        gateway = serve(POLICY.format(port=port), env={"KEY": KEY})
        for _ in range(2):
            shown = gateway.get("api.test", "/v1/x")
            assert (shown.status, shown.body) == (200, b"by node")
        websocket = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        refused = gateway.get("api.test", "/v1/x", websocket + key)
        assert (refused.status, refused.code) == (502, "upstream_unreachable")
        assert "no version of HTTP" in refused.json()["error"]["message"]


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1")])
def test_a_client_of_http1_is_served_over_http1_where_there_is_that(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], alpn: tuple[str, ...]
) -> None:
    server = upstream("api.test", alpn=alpn)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    for _ in range(2):
        assert gateway.get("api.test", "/v1/x").status == 200
    assert server.connections == 1


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
def test_a_client_of_http2_and_a_server_of_http1(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], alpn: tuple[str, ...]
) -> None:
    server = upstream("api.test", alpn=alpn)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with http2_client(gateway, "api.test") as client:
        numbers = [client.begin("GET", f"/v1/{n}") for n in range(20)]
        assert [client.answer(number).json()["target"] for number in numbers] == [f"/v1/{n}" for n in range(20)]
        assert len(client.request("POST", "/v1/x", body=b"x" * 100_000).json()["body"]) == 100_000
    assert {seen["x-api-key"] for seen in server.seen} == {KEY}


def test_a_client_of_http2_takes_what_the_server_chooses(gateway: Serve, api: Http2Server) -> None:
    with http2_client(gateway, "api.test") as client:
        numbers = [client.begin("GET", f"/v1/{n}") for n in range(50)]
        for n, number in enumerate(numbers):
            shown = dict(client.answer(number).json()["headers"])
            assert (shown[":path"], shown["x-api-key"][:7]) == (f"/v1/{n}", "sk-ant-")
            assert shown["x-api-key"] != KEY
    assert len(api.connections) == 1, "one for all, and nothing was tried in vain"


def test_a_websocket_goes_upstream_as_an_upgrade_or_not_at_all(gateway: Serve, api: Http2Server) -> None:
    websocket = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    refused = gateway.get("api.test", "/v1/x", websocket + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    assert api.seen == []


def test_a_server_that_just_hangs_up_is_not_asked_again(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    async def rude(server: Upstream, reader: Any, writer: Any) -> None:
        assert await reader.read(1)
        server.seen.append(Seen())

    server = upstream("api.test", handler=rude)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    refused = gateway.get("api.test", "/v1/x", method="POST", body=b"once")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    assert "closed the connection" in refused.json()["error"]["message"]
    assert len(server.seen) == 1


def test_the_certificate_has_to_cover_the_host(serve: Callable[..., Serve], http2: Callable[..., Http2Server]) -> None:
    server = http2("other.test")
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    refused = gateway.get("api.test", "/v1/x")
    assert (refused.status, refused.code) == (502, "upstream_tls")
    with http2_client(gateway, "api.test") as client:
        numbers = [client.begin("GET", "/v1/x") for _ in range(3)]
        assert {client.answer(number).code for number in numbers} == {"upstream_tls"}
    assert server.seen == []


def test_through_a_proxy_of_the_company(serve: Callable[..., Serve], api: Http2Server, server_ca: trustme.CA) -> None:
    proxy = CompanyProxy(hosts={"api.test": api.port})
    policy = POLICY.format(port=1).replace("connect_to: 127.0.0.1:1", f"proxy: http://127.0.0.1:{proxy.port}")
    gateway = serve(policy, env={"KEY": KEY})
    assert gateway.get("api.test", "/v1/x").status == 200
    with http2_client(gateway, "api.test") as client:
        assert client.request("GET", "/v1/x").status == 200
    proxy.close()
    assert len(served(api)) == 1


# -- what a server may do with a request


def refusing(times: int) -> Any:
    async def handler(server: Http2Server, stream: Stream) -> None:
        if len(server.seen) <= times:
            stream.break_off(REFUSED_STREAM)
        else:
            await echo(server, stream)

    return handler


@pytest.mark.parametrize("size", [0, 1000])
def test_a_request_that_was_refused_is_sent_once_more(gateway: Serve, api: Http2Server, size: int) -> None:
    api.handler = refusing(1)
    with http2_client(gateway, "api.test") as client:
        shown = client.request("POST", "/v1/x", body=b"x" * size)
    assert (shown.status, shown.json()["body"]) == (200, "x" * size)
    assert len(api.seen) == 2


def test_a_request_that_was_refused_twice_is_not(gateway: Serve, api: Http2Server) -> None:
    api.handler = refusing(2)
    with http2_client(gateway, "api.test") as client:
        shown = client.request("POST", "/v1/x", body=b"x")
    assert (shown.status, shown.code) == (502, "upstream_unreachable")
    assert len(api.seen) == 2


def test_a_request_whose_body_is_gone_is_not(gateway: Serve, api: Http2Server) -> None:
    async def late(server: Http2Server, stream: Stream) -> None:
        for _ in range(5):
            await stream.body.get()
        stream.break_off(REFUSED_STREAM)

    api.handler = late
    with http2_client(gateway, "api.test") as client:
        number = client.begin("PUT", "/v1/x", end=False)
        client.send(number, b"x" * 500_000, end=True)
        assert client.answer(number).code == "upstream_unreachable"
    assert len(api.seen) == 1


def test_a_request_that_may_have_been_acted_on_is_not(gateway: Serve, api: Http2Server) -> None:
    async def broken(_: Http2Server, stream: Stream) -> None:
        stream.break_off(2)

    api.handler = broken
    with http2_client(gateway, "api.test") as client:
        shown = client.request("GET", "/v1/x")
    assert shown.code == "upstream_unreachable"
    assert "INTERNAL_ERROR" in shown.json()["error"]["message"]
    assert len(api.seen) == 1


def test_a_server_that_takes_one_at_a_time(gateway: Serve, api: Http2Server) -> None:
    api.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    with http2_client(gateway, "api.test") as client:
        numbers = [client.begin("GET", "/v1/x") for _ in range(5)]
        assert all(client.answer(number).status == 200 for number in numbers)
    assert not any(len(one.streams) > 1 and _overlap(one) for one in api.connections)


def _overlap(connection: Connection) -> bool:
    return connection.library.open_inbound_streams > 1


def test_a_server_that_goes_away_takes_nobody_along(gateway: Serve, api: Http2Server) -> None:
    """GOAWAY with a request on its way that the server will not look at (RFC 9113 §6.8)."""

    async def leaving(server: Http2Server, stream: Stream) -> None:
        if len(server.connections) > 1:
            await echo(server, stream)
            return
        goaway = bytes([0, 0, 8, 7, 0]) + bytes(4) + (stream.number - 2).to_bytes(4, "big") + bytes(4)
        stream.connection.raw(goaway)

    with http2_client(gateway, "api.test") as client:
        assert client.request("GET", "/v1/x").status == 200
        api.handler = leaving
        assert client.request("POST", "/v1/x", body=b"again").json()["body"] == "again"
    assert len(api.connections) == 2


def test_an_answer_that_is_cut_is_seen_as_cut(gateway: Serve, api: Http2Server) -> None:
    async def cut(server: Http2Server, stream: Stream) -> None:
        stream.head(200)
        await stream.send(b"only this")
        await server.loop.run_in_executor(None, server.ended.wait, 15)
        stream.break_off(2)

    api.handler = cut
    with http2_client(gateway, "api.test") as client:
        number = client.begin("GET", "/v1/x")
        client.until(lambda: client.streams[number].status == 200)
        api.ended.set()
        shown = client.answer(number)
    assert not shown.ended
    assert shown.reset is not None


def test_an_early_answer_ends_the_request(gateway: Serve, api: Http2Server) -> None:
    async def early(_: Http2Server, stream: Stream) -> None:
        stream.head(413, end=True)
        await stream.reset
        stream.connection.server.ended.set()

    api.handler = early
    with http2_client(gateway, "api.test") as client:
        number = client.begin("PUT", "/v1/x", end=False)
        assert client.answer(number).status == 413
        assert api.ended.wait(15), "the server is told that no more will come"


def test_a_client_that_goes_away_cancels_its_own_requests_only(gateway: Serve, api: Http2Server) -> None:
    async def waiting(server: Http2Server, stream: Stream) -> None:
        if stream[":path"] == "/v1/gone":
            stream.head(200)
            await stream.send(b"begun")
            assert await stream.reset == 8
            server.ended.set()
        else:
            await stream.read()
            await server.loop.run_in_executor(None, server.ended.wait, 15)
            stream.head(200, end=True)

    api.handler = waiting
    with http2_client(gateway, "api.test") as stays:
        number = stays.begin("GET", "/v1/stays")
        with http2_client(gateway, "api.test") as goes:
            gone = goes.begin("GET", "/v1/gone")
            goes.until(lambda: goes.streams[gone].body == b"begun")
        assert stays.answer(number).status == 200
    assert len(api.connections) == 1


def test_a_reload_lets_requests_end(gateway: Serve, api: Http2Server) -> None:
    async def waiting(server: Http2Server, stream: Stream) -> None:
        if stream[":path"] == "/v1/long":
            stream.head(200)
            await server.loop.run_in_executor(None, server.ended.wait, 15)
            await stream.send(b"the end", end=True)
        else:
            await echo(server, stream)

    api.handler = waiting
    with http2_client(gateway, "api.test") as client:
        number = client.begin("GET", "/v1/long")
        client.until(lambda: client.streams[number].status == 200)
        gateway.write_policy(
            POLICY.format(port=api.port).replace("CA", str(gateway.directory.parent / "server-ca.pem"))
        )
        gateway.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while len(api.connections) == 1 and time.monotonic() < deadline:
            assert client.request("GET", "/v1/short").status == 200
        assert len(api.connections) == 2, "what is new goes by the new policy"
        api.ended.set()
        assert client.answer(number).body == b"the end"


# -- back-pressure


def test_a_server_that_reads_slowly(gateway: Serve, api: Http2Server) -> None:
    """One that opens no window: what the client sends stays with the client."""
    api.acknowledges = False
    size = 100_000_000
    with gateway.tunnel("api.test") as client:
        client.request("GET", "/v1/x", "api.test")
        client.send(b"PUT /v1/x HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n" % size)
        sent = push(client.sock, size, patience=1)
        assert sent < size
    assert gateway.peak() < 120_000_000


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_a_client_that_reads_slowly(gateway: Serve, api: Http2Server, version: str) -> None:
    sent = 0

    async def large(server: Http2Server, stream: Stream) -> None:
        nonlocal sent
        if stream[":path"] == "/v1/small":
            await echo(server, stream)
            return
        stream.head(200)
        for _count in range(1000):
            await stream.send(bytes(100_000))
            sent += 100_000

    api.handler = large
    with http2_client(gateway, "api.test") as other:
        assert other.request("GET", "/v1/small").status == 200
        if version == "HTTP/2":
            with http2_client(gateway, "api.test", acknowledges=False) as client:
                number = client.begin("GET", "/v1/large")
                client.until(lambda: len(client.streams[number].body) >= 65_535)
                _until_still(lambda: sent)
                assert other.request("GET", "/v1/small").status == 200, "nobody else waits for it"
        else:
            with gateway.tunnel("api.test") as plain:
                plain.send(b"GET /v1/large HTTP/1.1\r\nHost: api.test\r\n\r\n")
                plain.read_head()
                _until_still(lambda: sent)
                assert other.request("GET", "/v1/small").status == 200, "nobody else waits for it"
    assert sent < 100_000_000
    assert gateway.peak() < 120_000_000


def _until_still(count: Callable[[], int]) -> None:
    """Until what is counted has stopped growing."""
    last = -1
    while (now := count()) != last:
        last = now
        time.sleep(0.2)
