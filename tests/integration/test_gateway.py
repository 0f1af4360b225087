"""The gateway between a real client socket and a real TLS server."""

from __future__ import annotations

import asyncio
import base64
import signal
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.client import push
from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.serve import Serve

KEY = "sk-ant-test-REAL-0123456789abcdefghij"

POLICY = """
secrets:
  key: {{env: KEY, expose: API_KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["GET,HEAD /v1/**", POST /v1/messages, PUT /v1/files/*]
    deny: ["* /v1/admin/**"]
    ask: ["GET /v1/billing"]
    inject: [{{header: x-api-key, secret: key}}]
"""


@pytest.fixture
def api(upstream: Callable[..., Upstream]) -> Upstream:
    return upstream("api.test")


@pytest.fixture
def gateway(serve: Callable[..., Serve], api: Upstream) -> Serve:
    return serve(POLICY.format(port=api.port), env={"KEY": KEY})


# -- what is allowed


def test_the_real_key_goes_in_and_only_the_placeholder_comes_back(gateway: Serve, api: Upstream) -> None:
    shown = gateway.get("api.test", "/v1/models?limit=1", "x-api-key: sk-ant-test-PLACEHOLDER\r\n")
    assert shown.status == 200
    (seen,) = api.seen
    assert seen["x-api-key"] == KEY
    assert (seen.method, seen.target, seen["host"]) == ("GET", "/v1/models?limit=1", "api.test")
    assert KEY.encode() not in shown.body, "the echo is scrubbed"
    assert shown.json()["target"] == "/v1/models?limit=1"


def test_without_the_variable_nothing_goes_out_bare(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(POLICY.format(port=api.port))
    refused = gateway.get("api.test", "/v1/models")
    assert (refused.status, refused.code) == (503, "secret_unavailable")
    assert "KEY" in refused.json()["error"]["message"] + refused.json()["error"]["hint"]
    assert api.seen == []


@pytest.mark.parametrize(
    "header", ["authorization: Bearer mine", "x-api-key: mine", "X-Goog-Api-Key: mine", "api-key: mine"]
)
def test_the_clients_own_credentials_do_not_go_out(gateway: Serve, api: Upstream, header: str) -> None:
    gateway.get("api.test", "/v1/models", header + "\r\n")
    (seen,) = api.seen
    assert not any("mine" in value for _, value in seen.headers)
    assert seen.all("x-api-key") == [KEY]


def test_client_credentials_may_be_passed_on_purpose(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(
        f"destinations: [{{host: api.test, connect_to: 127.0.0.1:{api.port}, ca: CA, allow: [GET /**], "
        "client_credentials: pass}]"
    )
    gateway.get("api.test", "/v1/models", "authorization: Bearer mine\r\n")
    assert api.seen[0]["authorization"] == "Bearer mine"


def test_hop_by_hop_and_override_fields_do_not_go_out(gateway: Serve, api: Upstream) -> None:
    fields = (
        "Connection: X-Gone\r\nX-Gone: 1\r\nProxy-Authorization: Basic eA==\r\nTE: trailers\r\nKeep-Alive: 3\r\n"
        "X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /v1/admin/x\r\nX-Rewrite-URL: /v1/admin/x\r\nX-Stays: 1\r\n"
    )
    gateway.get("api.test", "/v1/models", fields)
    names = {name for name, _ in api.seen[0].headers}
    assert names == {"host", "x-stays", "x-api-key", "accept-encoding"}


def test_a_connection_name_cannot_remove_our_credential(gateway: Serve, api: Upstream) -> None:
    gateway.get("api.test", "/v1/models", "Connection: x-api-key, host\r\n")
    assert api.seen[0]["x-api-key"] == KEY
    assert api.seen[0]["host"] == "api.test"


def test_bodies_of_both_kinds(gateway: Serve, api: Upstream) -> None:
    with gateway.tunnel("api.test") as client:
        assert client.request("POST", "/v1/messages", "api.test", body=b"x" * 100_000).status == 200
        head = b"POST /v1/messages HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"5\r\nhello\r\n")
        client.send(b"6;ext=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n")
        assert client.read_answer().json()["body"] == "hello world"
    assert api.seen[0].body == b"x" * 100_000
    assert "x-trailer" not in dict(api.seen[1].headers)
    assert api.connections == 1, "the connection was kept"


def test_a_chunked_body_that_is_empty_is_ended_too(gateway: Serve) -> None:
    """All of it has arrived before there is a connection to send it on."""
    head = b"POST /v1/messages HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with gateway.tunnel("api.test") as client:
        for _ in range(2):  # a new connection, and a kept one
            client.send(head + b"0\r\n\r\n")
            assert client.read_answer().json()["body"] == ""


def test_pipelined_requests_are_answered_in_order(gateway: Serve) -> None:
    with gateway.tunnel("api.test") as client:
        client.send(b"".join(b"GET /v1/%d HTTP/1.1\r\nHost: api.test\r\n\r\n" % n for n in range(50)))
        targets = [client.read_answer().json()["target"] for _ in range(50)]
    assert targets == [f"/v1/{n}" for n in range(50)]


def test_pipelined_refusals_do_not_recurse(gateway: Serve) -> None:
    with gateway.tunnel("api.test") as client:
        client.send(b"DELETE /v1/x HTTP/1.1\r\nHost: api.test\r\n\r\n" * 2000)
        assert all(client.read_answer().status == 403 for _ in range(2000))
        assert client.request("GET", "/v1/x", "api.test").status == 200


def test_a_post_with_expect_continue(upstream: Callable[..., Upstream], serve: Callable[..., Serve]) -> None:
    async def careful(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader, body=False)
        assert seen is not None
        assert seen["expect"] == "100-continue"
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen.body = await reader.readexactly(5)
        server.seen.append(seen)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(body=b"ok"))
        await writer.drain()

    server = upstream("api.test", handler=careful)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        client.send(
            b"POST /v1/messages HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert client.read_answer().status == 100
        client.send(b"hello")
        assert client.read_answer().status == 103
        assert client.read_answer().body == b"ok"
    assert server.seen[0].body == b"hello"


@pytest.mark.parametrize(
    ("name", "method", "raw", "status", "body"),
    [
        ("HEAD keeps the length", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200, b""),
        ("204 has no body", "GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        ("304 keeps the length", "GET", b"HTTP/1.1 304 X\r\nContent-Length: 99\r\nETag: a\r\n\r\n", 304, b""),
        ("until close", "GET", b"HTTP/1.1 200 OK\r\n\r\nall of it", 200, b"all of it"),
        ("HTTP/1.0", "GET", b"HTTP/1.0 200 OK\r\n\r\nold", 200, b"old"),
        ("empty", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        ("chunked", "GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, b"abc"),
    ],
)
def test_framings(
    upstream: Callable[..., Upstream],
    serve: Callable[..., Serve],
    name: str,
    method: str,
    raw: bytes,
    status: int,
    body: bytes,
) -> None:
    async def raw_answer(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    server = upstream("api.test", handler=raw_answer)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    shown = gateway.get("api.test", "/v1/x", method=method)
    assert (shown.status, shown.body) == (status, body)
    if b"1234" in raw or b"99" in raw:
        assert shown.header("content-length") in {"1234", "99"}


def test_trailers_of_answers_go_through_but_cannot_become_headers(
    upstream: Callable[..., Upstream], serve: Callable[..., Serve]
) -> None:
    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        writer.write(f"Grpc-Status: 0\r\nSet-Cookie: a=b\r\nEcho: {KEY}\r\n\r\n".encode())
        await writer.drain()

    server = upstream("api.test", handler=handler)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        assert client.request("GET", "/v1/x", "api.test").body == b"a"
        names = [line.partition(b":")[0] for line in client.trailers]
        assert names == [b"Grpc-Status", b"Echo"]
        assert KEY.encode() not in b"".join(client.trailers)


def test_server_sent_events_are_not_held_back(upstream: Callable[..., Upstream], serve: Callable[..., Serve]) -> None:
    async def events(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader, body=False)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await reader.readexactly(1)  # the client confirms each event before the next is sent
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    server = upstream("api.test", handler=events)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        client.send(b"PUT /v1/files/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\n")
        client.read_head()
        for number in range(5):
            while b"data: %d\n\n" % number not in client.buffer:
                assert client.receive()
            client.send(b"x")
        while not client.buffer.endswith(b"0\r\n\r\n"):
            assert client.receive()


# -- what is refused


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("DELETE", "/v1/models", "method_not_allowed"),
        ("GET", "/v2/models", "path_not_allowed"),
        ("GET", "/v1/admin/keys", "denied_by_rule"),
        ("GET", "/v1/x/../admin/keys", "denied_by_rule"),
        ("GET", "/v1/%61dmin/keys", "denied_by_rule"),
        ("GET", "/v1/admin%2Fkeys", "denied_by_rule"),
        ("GET", "/v1//admin/keys", "denied_by_rule"),
        ("GET", "/v1/billing", "approval_denied"),
        ("TRACE", "/v1/models", "method_not_allowed"),
    ],
)
def test_typed_refusals(gateway: Serve, api: Upstream, method: str, path: str, code: str) -> None:
    refused = gateway.get("api.test", path, method=method)
    assert (refused.status, refused.code) == (403, code)
    assert refused.header("x-outward-verdict") == "deny"
    assert refused.header("content-type") == "application/json"
    assert api.seen == []
    record = gateway.journal()[-1]
    assert (record["verdict"], record["code"], record["status"]) == ("deny", code, 403)


def test_the_client_gets_to_read_a_refusal_of_a_large_body(gateway: Serve) -> None:
    with gateway.tunnel("api.test") as client:
        refused = client.request("POST", "/v1/other", "api.test", body=b"x" * 3_000_000)
        assert refused.code == "method_not_allowed"
        assert client.request("GET", "/v1/x", "api.test").status == 200, "and the connection goes on"


def test_hosts_and_ports_are_refused_before_tls(gateway: Serve) -> None:
    with gateway.dial() as client:
        refused = client.connect("evil.test:443")
        assert (refused.status, refused.code) == (403, "host_not_allowed")
        refused = client.connect("api.test:8443")
        assert (refused.status, refused.code) == (403, "port_not_allowed")
        assert "outward policy allow" in client.connect("evil.test:443").json()["error"]["hint"]
        assert client.connect("api.test:443").status == 200, "asking again on the same connection is fine"


@pytest.mark.parametrize(
    "target",
    ["evil\0.api.test:443", "api.test", "api.test:0", "api.test:99999", "a@api.test:443", "127.1:443", "0x7f.1:443", ":443",
     "api.test:443:443", "[::1%25lo]:443", "b\xfccher.test:443"],
)  # fmt: skip
def test_odd_hosts_are_malformed(gateway: Serve, target: str) -> None:
    with gateway.dial() as client:
        refused = client.connect(target)
        assert (refused.status, refused.code) == (400, "malformed_request")


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\nHost: a\n\n", b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\x05\n\n", b"a" * 70_000]
)
def test_what_is_not_http_is_told_so(gateway: Serve, raw: bytes) -> None:
    with gateway.dial() as client:
        client.send(raw)
        assert client.read_answer().code == "malformed_request"
        assert client.closed()


@pytest.mark.parametrize("unix", [False, True])
def test_a_greeting_in_pieces(serve: Callable[..., Serve], api: Upstream, tmp_path: object, unix: bool) -> None:
    where = f"unix:{tmp_path}/o.sock" if unix else "127.0.0.1:0"
    gateway = serve(POLICY.format(port=api.port), "--listen", where, env={"KEY": KEY})
    with gateway.dial() as client:
        for piece in (b"CONN", b"ECT api.test:443 HTTP/1.1\r\nHost: api.te", b"st:443\r\n", b"\r\n"):
            client.send(piece)
            time.sleep(0.02)
        assert client.read_answer("CONNECT").status == 200
        client.start_tls(gateway.ca, "api.test")
        assert client.request("GET", "/v1/x", "api.test").status == 200


def test_connect_sni_and_host_must_agree(gateway: Serve, api: Upstream) -> None:
    with gateway.dial() as client:
        client.send(b"CONNECT api.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n")
        refused = client.read_answer()
        assert (refused.status, refused.code) == (421, "host_mismatch")
    with gateway.tunnel("api.test", sni="evil.test") as client:
        assert client.request("GET", "/v1/x", "evil.test").code == "host_mismatch"
    with gateway.tunnel("api.test", sni="evil.test") as client:
        assert client.request("GET", "/v1/x", "api.test").status == 421
    with gateway.tunnel("api.test") as client:
        assert client.request("GET", "/v1/x", "evil.test").status == 421
        assert client.request("GET", "/v1/x", "api.test:8443").status == 421
        assert client.request("GET", "/v1/x", "API.test.:443").status == 200, "the same host, spelt otherwise"
    assert len(api.seen) == 1


def test_plain_http_is_filtered_like_https(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    server = upstream(tls=False)
    gateway = serve(
        f"destinations: [{{host: plain.test, scheme: http, connect_to: 127.0.0.1:{server.port}, allow: [GET /a]}}]"
    )
    with gateway.dial() as client:
        assert client.request("GET", "http://plain.test/a", "plain.test").status == 200
        assert client.request("GET", "http://plain.test/b", "plain.test").code == "path_not_allowed"
        assert client.request("GET", "http://evil.test/a", "evil.test").code == "host_not_allowed"
        assert client.request("GET", "http://plain.test/a", "evil.test").code == "host_mismatch"
        assert client.request("GET", "/a", "plain.test").code == "malformed_request"
    with gateway.dial() as client:
        assert client.connect("plain.test:80").status == 200
        assert client.request("GET", "/a", "plain.test").status == 200, "CONNECT to a plain port"
        assert client.request("GET", "/b", "plain.test").code == "path_not_allowed"
    assert [seen.target for seen in server.seen] == ["/a", "/a"]


def test_a_client_that_does_not_trust_us_is_in_the_journal(gateway: Serve, ca_file: object) -> None:
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            client.start_tls(str(ca_file), "api.test")
    _until(lambda: bool(gateway.journal()))
    (record,) = gateway.journal()
    assert (record["kind"], record["host"], record["verdict"]) == ("connect", "api.test", "allow")
    assert "did not complete TLS" in record["error"]


@pytest.mark.parametrize("alpn", [(), ("h2",)])
def test_so_is_one_that_looks_at_our_certificate_after_tls(gateway: Serve, alpn: tuple[str, ...]) -> None:
    """As newer versions of curl do. One that asks something has the records of what it asked, and no other."""
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        client.start_tls(gateway.ca, "api.test")
        assert client.request("GET", "/v1/models", "api.test").status == 200
    asked = len(gateway.journal())
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        client.start_tls(gateway.ca, "api.test", alpn)
    _until(lambda: len(gateway.journal()) > asked)
    *before, record = gateway.journal()
    assert {each["kind"] for each in before} == {"http"}
    assert (record["kind"], record["host"], record["verdict"]) == ("connect", "api.test", "allow")
    assert "closed after TLS without a request" in record["error"]


def test_http_inside_a_tunnel_for_https_is_refused(gateway: Serve) -> None:
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        assert client.request("GET", "/v1/x", "api.test:443").code == "port_not_allowed"


SMUGGLING = {
    "CL.TE": b"PUT /v1/files/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0",
    "TE.TE": b"POST /v1/messages HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
    "two lengths": b"POST /v1/messages HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two hosts": b"GET /v1/x HTTP/1.1\r\nHost: api.test\r\nHost: evil.test\r\n\r\n",
    "obs-fold": b"GET /v1/x HTTP/1.1\r\nHost: api.test\r\nX: a\r\n b\r\n\r\n",
    "bare LF": b"GET /v1/x HTTP/1.1\nHost: api.test\n\n",
    "NUL": b"GET /v1/x HTTP/1.1\r\nHost: api.test\0.evil\r\n\r\n",
    "absolute target": b"GET https://evil.test/v1/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "fragment": b"GET /v1/x#/../admin HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "backslash": b"GET /v1/x\\..\\admin HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "double encoding": b"GET /v1/%252e%252e/admin HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "encoded dot segment": b"GET /v1/a%2f..%2fadmin HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "CONNECT inside": b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n",
    "PRI (HTTP/2 preface)": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("attack", SMUGGLING)
def test_smuggling_is_malformed_and_nothing_arrives(gateway: Serve, api: Upstream, attack: str) -> None:
    with gateway.tunnel("api.test") as client:
        client.send(SMUGGLING[attack])
        refused = client.read_answer()
        assert refused.status in {400, 403, 421}
        assert refused.code in {"malformed_request", "host_mismatch", "method_not_allowed"}
    assert api.seen == []


def test_a_chunk_that_lies_ends_both_connections(gateway: Serve) -> None:
    with gateway.tunnel("api.test") as client:
        head = b"POST /v1/messages HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"3\r\nabcXX")
        assert client.read_answer().code == "malformed_request"
        assert client.closed()


# -- addresses


def test_private_addresses_are_refused_unless_named(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    server = upstream("localhost", "127.0.0.1")
    policy = "destinations: [{{host: {host}, port: {port}, ca: CA, allow: [GET /**], allow_private: {private}}}]"
    for host in ("localhost", "127.0.0.1"):
        gateway = serve(policy.format(host=host, port=server.port, private="false"))
        with gateway.tunnel(host, port=server.port, sni=None) as client:
            refused = client.request("GET", "/x", f"{host}:{server.port}")
            assert (refused.status, refused.code) == (403, "address_not_allowed")
        gateway = serve(policy.format(host=host, port=server.port, private="true"))
        with gateway.tunnel(host, port=server.port, sni=None) as client:
            assert client.request("GET", "/x", f"{host}:{server.port}").status == 200


def test_the_gateway_never_talks_to_itself(serve: Callable[..., Serve]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    gateway = serve(
        f"destinations: [{{host: self.test, scheme: http, connect_to: 127.0.0.1:{port}, allow: [GET /**]}}]",
        "--listen",
        f"127.0.0.1:{port}",
    )
    with gateway.dial() as client:
        refused = client.request("GET", "http://self.test/", "self.test")
        assert refused.code == "address_not_allowed"
        assert "itself" in refused.json()["error"]["message"]


# -- TLS upstream


def test_the_servers_certificate_is_verified(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    wrong_name = upstream("other.test")
    gateway = serve(POLICY.format(port=wrong_name.port), env={"KEY": KEY})
    refused = gateway.get("api.test", "/v1/x")
    assert (refused.status, refused.code) == (502, "upstream_tls")
    unknown_ca = POLICY.format(port=wrong_name.port).replace("    ca: CA\n", "")
    refused = serve(unknown_ca, env={"KEY": KEY}).get("api.test", "/v1/x")
    assert refused.code == "upstream_tls"
    assert wrong_name.seen == []


def test_an_unreachable_server(serve: Callable[..., Serve]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    gateway = serve(POLICY.format(port=port), env={"KEY": KEY})
    refused = gateway.get("api.test", "/v1/x")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    end = gateway.journal()[-1]
    assert (end["verdict"], end["code"], end["status"]) == ("allow", "upstream_unreachable", 502), "nobody denied it"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"",
    ],
)
def test_a_broken_answer_is_a_bad_gateway(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], raw: bytes
) -> None:
    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    gateway = serve(POLICY.format(port=upstream("api.test", handler=handler).port), env={"KEY": KEY})
    refused = gateway.get("api.test", "/v1/x")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")


def test_a_cut_answer_is_seen_as_cut(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        await writer.drain()

    gateway = serve(POLICY.format(port=upstream("api.test", handler=handler).port), env={"KEY": KEY})
    with pytest.raises((ConnectionResetError, OSError)):
        gateway.get("api.test", "/v1/x")
    _until(lambda: gateway.journal()[-1]["phase"] == "end")
    end = gateway.journal()[-1]
    assert "closed" in end["error"]


def test_a_server_that_hangs_up_in_the_middle_of_an_upload(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    held_up = threading.Event()

    async def lazy(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Else the kernel may take everything: its buffer grows with how fast it is emptied.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await read_request(reader, body=False)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.get_running_loop().run_in_executor(None, held_up.wait, 60)
        writer.transport.abort()

    gateway = serve(POLICY.format(port=upstream("api.test", handler=lazy).port), env={"KEY": KEY})
    size = 64_000_000  # more than all buffers on the way: the gateway's alone may grow to 32 MiB (tcp_rmem)
    with gateway.tunnel("api.test") as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.send(b"PUT /v1/files/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n" % size)
        sent = push(client.sock, size, patience=1)
        assert sent < size, "the server does not read, so the gateway does not either"
        held_up.set()
        assert push(client.sock, size - sent, patience=15) == size - sent
        assert client.read_answer().code == "upstream_unreachable"
        assert client.request("HEAD", "/v2/x", "api.test").status == 403, "and the connection goes on"


def test_a_kept_connection_that_the_server_closed_is_replaced(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    async def one_each(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        assert seen is not None
        server.seen.append(seen)
        writer.write(answer(body=b"ok"))  # says keep-alive, and then hangs up
        await writer.drain()

    server = upstream("api.test", handler=one_each)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        for _ in range(10):
            assert client.request("GET", "/v1/x", "api.test").body == b"ok"
    assert len(server.seen) == 10


# -- redaction


@pytest.mark.parametrize("length", [True, False])
def test_the_value_is_scrubbed_across_packets(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], length: bool
) -> None:
    echoed = f"plain {KEY} basic ".encode() + base64.b64encode(f"user:{KEY}".encode()) + b" end"

    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        framing = b"Content-Length: %d\r\n" % len(echoed) if length else b"Connection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\nX-Echo: " + KEY.encode() + b"\r\n" + framing + b"\r\n")
        for octet in range(len(echoed)):
            writer.write(echoed[octet : octet + 1])
            await writer.drain()

    gateway = serve(POLICY.format(port=upstream("api.test", handler=handler).port), env={"KEY": KEY})
    shown = gateway.get("api.test", "/v1/x")
    assert len(shown.body) == len(echoed)
    assert shown.body.startswith(b"plain sk-ant-")
    assert shown.body.endswith(b" end")
    assert KEY.encode() not in shown.body + shown.raw
    assert KEY[3:-3].encode() not in base64.b64decode(shown.body.split(b" ")[3])


def test_a_value_that_is_renewed_meanwhile_is_scrubbed_all_the_same(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], tmp_path: Path
) -> None:
    renewed = threading.Event()

    async def handler(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        assert seen is not None
        server.seen.append(seen)
        if seen.target == "/v1/slow":
            await asyncio.get_running_loop().run_in_executor(None, renewed.wait, 15)
        writer.write(answer(body=f"echo {seen['x-api-key']}".encode()))
        await writer.drain()

    server = upstream("api.test", handler=handler)
    file = tmp_path / "key"
    file.write_text("first-value-0123456789")
    file.chmod(0o600)
    policy = POLICY.format(port=server.port).replace("{env: KEY, expose: API_KEY}", f"{{file: {file}, ttl: 1s}}")
    gateway = serve(policy)
    with gateway.tunnel("api.test") as slow:
        slow.send(b"GET /v1/slow HTTP/1.1\r\nHost: api.test\r\n\r\n")
        _until(lambda: len(server.seen) == 1)
        file.write_text("second-value-987654321")

        def use_the_new_one() -> bool:
            return b"echo" in gateway.get("api.test", "/v1/x").body and "second" in server.seen[-1]["x-api-key"]

        _until(use_the_new_one)
        renewed.set()
        body = slow.read_answer().body
    assert server.seen[0]["x-api-key"] == "first-value-0123456789"
    assert body.startswith(b"echo ")
    assert b"first-value" not in body


def test_without_the_scrubber_the_value_would_come_back(serve: Callable[..., Serve], api: Upstream) -> None:
    policy = POLICY.format(port=api.port) + "    redact: false\n"
    assert KEY.encode() in serve(policy, env={"KEY": KEY}).get("api.test", "/v1/x").body


# -- placeholders


SWAPPED = """
secrets:
  token: {{env: KEY, placeholder: PLACEHOLDER-0001}}
  other: {{env: OTHER, placeholder: PLACEHOLDER-0002}}
destinations:
  - {{host: git.test, connect_to: 127.0.0.1:{port}, ca: CA, allow: [GET /**], inject: [{{placeholder: token}}]}}
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: [GET /**]
    inject: [{{header: x-api-key, secret: other}}]
  - {{host: bare.test, connect_to: 127.0.0.1:{port}, ca: CA, allow: [GET /**]}}
"""


@pytest.fixture
def swapping(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> tuple[Serve, Upstream]:
    server = upstream("git.test", "api.test", "bare.test")
    return serve(SWAPPED.format(port=server.port), env={"KEY": KEY, "OTHER": "other-value-1234"}), server


def basic(pair: str) -> str:
    return "authorization: Basic " + base64.b64encode(pair.encode()).decode() + "\r\n"


def test_a_placeholder_is_swapped_in_headers_and_inside_basic(swapping: tuple[Serve, Upstream]) -> None:
    gateway, server = swapping
    gateway.get("git.test", "/a", "authorization: Bearer PLACEHOLDER-0001\r\nx-other: t=PLACEHOLDER-0001;\r\n")
    gateway.get("git.test", "/b", basic("user:PLACEHOLDER-0001"))
    first, second = server.seen
    assert first["authorization"] == f"Bearer {KEY}"
    assert first["x-other"] == f"t={KEY};"
    assert base64.b64decode(second["authorization"].removeprefix("Basic ")).decode() == f"user:{KEY}"


def test_credentials_without_the_placeholder_do_not_go_out(swapping: tuple[Serve, Upstream]) -> None:
    gateway, server = swapping
    gateway.get("git.test", "/a", basic("attacker:own"))
    gateway.get("git.test", "/a", "authorization: Bearer own\r\n")
    assert all(seen.all("authorization") == [] for seen in server.seen)


@pytest.mark.parametrize(
    ("host", "path", "headers"),
    [
        ("bare.test", "/a", "x: PLACEHOLDER-0001\r\n"),
        ("api.test", "/a", "authorization: Bearer PLACEHOLDER-0001\r\n"),
        ("api.test", "/a", basic("user:PLACEHOLDER-0001")),
        ("git.test", "/a", "x: PLACEHOLDER-0002\r\n"),
        ("bare.test", "/a?q=PLACEHOLDER-0001", ""),
        ("bare.test", "/PLACEHOLDER-0001", ""),
    ],
)
def test_a_placeholder_elsewhere_is_a_leak(
    swapping: tuple[Serve, Upstream], host: str, path: str, headers: str
) -> None:
    gateway, server = swapping
    refused = gateway.get(host, path, headers)
    assert (refused.status, refused.code) == (403, "placeholder_leak")
    assert server.seen == []
    record = gateway.journal()[-1]
    assert (record["code"], record["secrets"]) == ("placeholder_leak", ["other" if "0002" in headers else "token"])
    assert gateway.get(host, "/fine").status == 200


def test_a_placeholder_over_plain_http_to_an_unknown_host_is_a_leak(swapping: tuple[Serve, Upstream]) -> None:
    gateway, _ = swapping
    with gateway.dial() as client:
        refused = client.request("GET", "http://evil.test/?PLACEHOLDER-0001", "evil.test")
        assert refused.code == "placeholder_leak"


# -- identities, reverse, passthrough, upgrades


def test_proxy_credentials_name_the_agent(serve: Callable[..., Serve], api: Upstream) -> None:
    policy = f"""
secrets:
  ci-token: {{env: TOKEN}}
agents:
  ci: {{secret: ci-token}}
destinations:
  - {{host: api.test, connect_to: 127.0.0.1:{api.port}, ca: CA, allow: [GET /**], agents: [ci]}}
"""
    gateway = serve(policy, env={"TOKEN": "tok-12345678"})

    def credentials(pair: str) -> str:
        return "Proxy-Authorization: Basic " + base64.b64encode(pair.encode()).decode() + "\r\n"

    with gateway.dial() as client:
        refused = client.connect("api.test:443")
        assert refused.status == 407
        assert refused.header("proxy-authenticate") == 'Basic realm="outward"'
        for wrong in ("ci:wrong", "ci:", "nobody:tok-12345678", "ci", ""):
            assert client.connect("api.test:443", credentials(wrong)).status == 407
        assert client.connect("api.test:443", credentials("ci:tok-12345678")).status == 200
    with gateway.tunnel("api.test", headers=credentials("ci:tok-12345678")) as client:
        assert client.request("GET", "/x", "api.test").status == 200
    _until(lambda: gateway.journal()[-1]["agent"] == "ci")


def test_a_listener_that_others_can_reach_needs_authentication(serve: Callable[..., Serve]) -> None:
    with pytest.raises(AssertionError, match="reached from outside"):
        serve("destinations: []", "--listen", "0.0.0.0:0")


def test_reverse(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(POLICY.format(port=api.port), "--reverse", "127.0.0.1:0=https://api.test/v1", env={"KEY": KEY})
    with gateway.dial() as client:
        assert client.request("GET", "/models?a=b", gateway.address).status == 200
        assert client.request("GET", "/admin/x", "localhost:1234").code == "denied_by_rule"
        assert client.request("GET", "/models", "rebound.example").code == "host_mismatch"
        assert client.request("GET", "http://evil.test/", "evil.test").code == "malformed_request"
    (seen,) = api.seen
    assert (seen.target, seen["host"], seen["x-api-key"]) == ("/v1/models?a=b", "api.test", KEY)


def test_unix_sockets(serve: Callable[..., Serve], api: Upstream, tmp_path: object) -> None:
    path = f"{tmp_path}/o.sock"
    gateway = serve(POLICY.format(port=api.port), "--listen", f"unix:{path}", env={"KEY": KEY})
    assert gateway.ready["listen"] == [f"unix:{path}"]
    assert gateway.get("api.test", "/v1/x").status == 200


def test_passthrough_checks_host_and_sni(serve: Callable[..., Serve], api: Upstream, ca_file: object) -> None:
    gateway = serve(
        f"destinations: [{{host: api.test, connect_to: 127.0.0.1:{api.port}, tls: passthrough, allow: connect}}]"
    )
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        client.start_tls(str(ca_file), "api.test")  # the server's own certificate, not ours
        assert client.request("GET", "/any", "api.test").status == 200
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        with pytest.raises(OSError, match=r"EOF|reset|closed"):
            client.start_tls(str(ca_file), "evil.test")
    assert len(api.seen) == 1
    _until(lambda: len(gateway.journal()) == 4)
    records = sorted((r["id"], r["phase"], r["kind"], r["verdict"], r.get("code")) for r in gateway.journal())
    first, second = (record[0] for record in (records[0], records[-1]))
    assert records == [
        (first, "end", "tunnel", "allow", None),
        (first, "start", "tunnel", "allow", None),
        (second, "end", "tunnel", "deny", "host_mismatch"),
        (second, "start", "tunnel", "allow", None),
    ]


def test_other_upgrades_are_declined(gateway: Serve, api: Upstream) -> None:
    fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    assert gateway.get("api.test", "/v1/x", fields).status == 200
    assert {"upgrade", "http2-settings", "connection"}.isdisjoint(dict(api.seen[0].headers))


# -- life


def test_reload_is_all_or_nothing(gateway: Serve, api: Upstream) -> None:
    policy = POLICY.format(port=api.port)
    ca = next(line for line in gateway.policy.read_text().splitlines() if "ca:" in line)
    with gateway.tunnel("api.test") as client:
        assert client.request("GET", "/v1/x", "api.test").status == 200
        gateway.write_policy(policy.replace("GET,HEAD /v1/**", "GET /v2/**").replace("    ca: CA", ca))
        gateway.process.send_signal(signal.SIGHUP)
        _until(lambda: "was reloaded" in gateway.stderr.read_text())
        assert client.request("GET", "/v1/x", "api.test").code == "path_not_allowed", "on an open connection too"
        assert client.request("GET", "/v2/x", "api.test").status == 200
        gateway.write_policy("destinations: [{hots: api.test}]")
        gateway.process.send_signal(signal.SIGHUP)
        _until(lambda: "not reloaded" in gateway.stderr.read_text())
        assert client.request("GET", "/v2/x", "api.test").status == 200, "the old policy stays"


def test_sigterm_lets_requests_end(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    async def slow(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader, body=False)
        assert seen is not None
        server.seen.append(seen)
        await reader.readexactly(1)  # sent by the client once the gateway is stopping
        writer.write(answer(body=b"done"))
        await writer.drain()

    server = upstream("api.test", handler=slow)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        client.send(b"PUT /v1/files/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\n\r\n")
        _until(lambda: bool(server.seen) or bool(gateway.journal()))
        gateway.process.send_signal(signal.SIGTERM)
        _until(lambda: "stopping" in gateway.stderr.read_text())
        client.send(b"x")
        assert client.read_answer().body == b"done"
    assert gateway.process.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        gateway.dial()


def test_the_journal_has_a_start_before_and_an_end_after(gateway: Serve) -> None:
    gateway.get("api.test", "/v1/models?secret=value")
    _until(lambda: len(gateway.journal()) == 2)
    start, end = gateway.journal()
    assert (start["phase"], end["phase"]) == ("start", "end")
    assert start["id"] == end["id"]
    assert start["path"] == "/v1/models?secret=***"
    assert start["secrets"] == ["key"]
    assert (end["status"], end["address"], end["rule"]) == (200, "127.0.0.1", "api.test allow[0]")
    assert end["bytes_out"] > 0
    assert KEY not in str(gateway.journal())


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("the condition never came true")
