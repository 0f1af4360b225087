"""HTTP/2 between a client inside CONNECT and a real TLS server (RFC 9113): the same policy, stream by stream."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from h2.errors import ErrorCodes

from tests.support.http2 import http2
from tests.support.serve import Serve
from tests.support.upstream import Upstream, read_request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    import trustme

KEY = "sk-ant-test-REAL-0123456789abcdefghij"

POLICY = """
secrets:
  key: {{env: KEY, expose: API_KEY, placeholder: sk-ant-test-PLACEHOLDER-PLACEHOLDER00}}
  other: {{env: OTHER, placeholder: sk-ant-test-ELSEWHERE-PLACEHOLDER-000}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["GET,HEAD /v1/**", POST /v1/messages, PUT /v1/files/*]
    deny: ["* /v1/admin/**"]
    inject: [{{header: x-api-key, secret: key}}]
"""


SECRETS = {"KEY": KEY, "OTHER": "sk-ant-test-OTHER-0123456789abcdefghi"}


@pytest.fixture(scope="module")
def api_of_all(server_ca: trustme.CA) -> Iterator[Upstream]:
    server = Upstream(server_ca, "api.test")
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, server_ca: trustme.CA, api_of_all: Upstream) -> Iterator[Serve]:
    """One for all tests that do not stop it."""
    directory = tmp_path_factory.mktemp("gateway")
    ca = directory / "server-ca.pem"
    server_ca.cert_pem.write_to_path(str(ca))
    one = Serve(directory, POLICY.format(port=api_of_all.port).replace("CA", str(ca)), env=SECRETS)
    yield one
    one.stop()


@pytest.fixture
def api(api_of_all: Upstream) -> Upstream:
    """The server behind it, which has seen nothing yet."""
    api_of_all.seen.clear()
    return api_of_all


@pytest.fixture
def ends(gateway: Serve) -> Callable[[], list[dict[str, Any]]]:
    """The ``end`` records since the test began."""
    before = len(gateway.journal())
    return lambda: [record for record in gateway.journal()[before:] if record["phase"] == "end"]


def serving(upstream: Callable[..., Upstream], serve: Callable[..., Serve], raw: bytes) -> Serve:
    """A gateway to a server that answers every request with ``raw`` and closes."""

    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    return serve(POLICY.format(port=upstream("api.test", handler=handler).port), env={"KEY": KEY})


# -- which version is spoken


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("h2",), "h2"),
        (("h2", "http/1.1"), "http/1.1"),
        (("http/1.1", "h2"), "http/1.1"),
        (("http/1.1",), "http/1.1"),
        ((), None),
        (("h3",), None),
    ],
)
def test_the_version_is_negotiated(gateway: Serve, offered: tuple[str, ...], chosen: str | None) -> None:
    with gateway.tunnel("api.test", alpn=offered) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.selected_alpn_protocol() == chosen


def test_http2_in_the_clear_is_refused(gateway: Serve) -> None:
    with gateway.dial() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        refused = client.read_answer()
        assert (refused.status, refused.code) == (400, "malformed_request")
        assert "TLS" in refused.json()["error"]["message"], "the way out is named"


def test_an_upgrade_to_http2_is_not_taken(gateway: Serve, api: Upstream) -> None:
    """RFC 9113 §3.1: the Upgrade to h2c is obsolete, and an upgrade that a proxy passes on hides what follows."""
    shown = gateway.get(
        "api.test",
        "/v1/models",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    )
    assert shown.status == 200
    assert not {"upgrade", "http2-settings", "connection"} & {name for name, _ in api.seen[0].headers}


# -- what is allowed


def test_the_real_key_goes_in_and_only_the_placeholder_comes_back(gateway: Serve, api: Upstream) -> None:
    with http2(gateway, "api.test") as client:
        shown = client.request("GET", "/v1/models?limit=1", ("x-api-key", "sk-ant-test-MINE"), ("te", "trailers"))
    assert shown.status == 200
    (seen,) = api.seen
    assert (seen.method, seen.target, seen["host"]) == ("GET", "/v1/models?limit=1", "api.test")
    assert seen["x-api-key"] == KEY
    assert {name for name, _ in seen.headers} == {"host", "x-api-key", "accept-encoding"}
    assert KEY.encode() not in shown.body, "the echo is scrubbed"
    assert shown.json()["target"] == "/v1/models?limit=1"


def test_every_stream_is_recorded(gateway: Serve, ends: Callable[[], list[dict[str, Any]]]) -> None:
    with http2(gateway, "api.test") as client:
        assert client.request("GET", "/v1/a").status == 200
        assert client.request("POST", "/v1/messages", body=b"12345").status == 200
        assert client.request("DELETE", "/v1/b").status == 403
    records = ends()
    assert [(one["method"], one["path"], one["verdict"], one["status"]) for one in records] == [
        ("GET", "/v1/a", "allow", 200),
        ("POST", "/v1/messages", "allow", 200),
        ("DELETE", "/v1/b", "deny", 403),
    ]
    assert records[1]["bytes_in"] == 5
    assert records[1]["secrets"] == ["key"]


def test_a_hundred_streams_at_once(gateway: Serve) -> None:
    with http2(gateway, "api.test") as client:
        numbers = {n: client.begin("GET", f"/v1/{n}") for n in range(100)}
        assert {n: client.answer(number).json()["target"] for n, number in numbers.items()} == {
            n: f"/v1/{n}" for n in range(100)
        }


def test_bodies(gateway: Serve, api: Upstream) -> None:
    with http2(gateway, "api.test") as client:
        assert client.request("POST", "/v1/messages", body=b"x" * 300_000).status == 200
        number = client.begin("POST", "/v1/messages", ("content-length", "11"), end=False)
        client.send(number, b"hello")
        client.send(number, b" world", end=True)
        assert client.answer(number).json()["body"] == "hello world"
        number = client.begin("POST", "/v1/messages", end=False)
        client.send(number, b"", end=True)
        assert client.answer(number).json()["body"] == ""
    assert api.seen[0].body == b"x" * 300_000
    assert api.seen[0]["transfer-encoding"] == "chunked"
    assert api.seen[1]["content-length"] == "11"


def test_trailers_of_a_request_do_not_go_out(gateway: Serve, api: Upstream) -> None:
    with http2(gateway, "api.test") as client:
        number = client.begin("POST", "/v1/messages", end=False)
        client.send(number, b"hello")
        client.h2.send_headers(number, [(b"x-trailer", b"1")], end_stream=True)
        client.flush()
        assert client.answer(number).status == 200
    assert api.seen[0].body == b"hello"
    assert "x-trailer" not in dict(api.seen[0].headers)


def test_a_cookie_in_crumbs_is_one_cookie(gateway: Serve, api: Upstream) -> None:
    with http2(gateway, "api.test") as client:
        client.request("GET", "/v1/a", ("cookie", "a=b"), ("cookie", "c=d"))
    assert api.seen[0]["cookie"] == "a=b; c=d"


@pytest.mark.parametrize(
    ("method", "raw", "length", "body"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "1234", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None, b""),
        ("GET", b"HTTP/1.1 304 X\r\nContent-Length: 99\r\n\r\n", "99", b""),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nall of it", None, b"all of it"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0", b""),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "3", b"abc"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "3", b"abc"),
    ],
)
def test_framings(
    upstream: Callable[..., Upstream],
    serve: Callable[..., Serve],
    method: str,
    raw: bytes,
    length: str | None,
    body: bytes,
) -> None:
    gateway = serving(upstream, serve, raw.replace(b"\r\n\r\n", b"\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\n", 1))
    with http2(gateway, "api.test") as client:
        shown = client.request(method, "/v1/x")
    assert (str(shown.status), shown.body) == (raw[9:12].decode(), body)
    assert shown.headers.get("content-length") == length
    assert not {"connection", "transfer-encoding", "x-hop"} & set(shown.headers)
    assert shown.reset is None


def test_interim_answers_and_trailers(upstream: Callable[..., Upstream], serve: Callable[..., Serve]) -> None:
    raw = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        b"Grpc-Status: 0\r\nSet-Cookie: a=b\r\nEcho: %b\r\n\r\n" % KEY.encode()
    )
    gateway = serving(upstream, serve, raw)
    with http2(gateway, "api.test") as client:
        shown = client.request("GET", "/v1/x")
    assert shown.interim == [103]
    assert shown.body == b"a"
    assert shown.trailers == {"grpc-status": "0", "echo": "sk-ant-test-PLACEHOLDER-PLACEHOLDER00"}


def test_an_answer_that_is_cut_looks_cut(upstream: Callable[..., Upstream], serve: Callable[..., Serve]) -> None:
    gateway = serving(upstream, serve, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n???")
    with http2(gateway, "api.test") as client:
        shown = client.request("GET", "/v1/x")
        assert (shown.status, shown.body, shown.ended) == (200, b"???", False)
        assert shown.reset == ErrorCodes.INTERNAL_ERROR
        assert client.request("DELETE", "/v1/x").status == 403, "other streams go on"


# -- what is refused


def test_refusals_are_what_they_are_in_http1(gateway: Serve, api: Upstream) -> None:
    with http2(gateway, "api.test") as client:
        refused = client.request("POST", "/v1/admin/x", body=b"x" * 200_000)
        head = client.request("HEAD", "/v2/x")
    plain = gateway.get("api.test", "/v1/admin/x", method="POST", body=b"x")
    assert refused.json() == plain.json()
    assert refused.headers["x-outward-verdict"] == "deny"
    assert refused.headers["content-type"] == "application/json"
    assert (head.status, head.body, head.ended) == (403, b"", True)
    assert int(head.headers["content-length"]) > 0
    assert api.seen == []


def test_a_body_that_nobody_wants_is_stopped_without_an_error(gateway: Serve) -> None:
    """RFC 9113 §8.1: an early answer, then RST_STREAM with NO_ERROR."""
    with http2(gateway, "api.test") as client:
        number = client.begin("POST", "/v1/admin/x", end=False)
        refused = client.answer(number)
        assert (refused.status, refused.code) == (403, "denied_by_rule")
        client.until(lambda: refused.reset is not None)
        assert refused.reset == ErrorCodes.NO_ERROR
        assert client.request("GET", "/v1/x").status == 200


@pytest.mark.parametrize(
    ("what", "fields", "status", "code"),
    [
        ("another host", [(":authority", "evil.test")], 421, "host_mismatch"),
        ("another port", [(":authority", "api.test:8443")], 421, "host_mismatch"),
        ("user information", [(":authority", "api.test@evil.test")], 400, "malformed_request"),
        ("a host field that differs", [("host", "evil.test")], 400, "malformed_request"),
        ("no host at all", [(":authority", "")], 400, "malformed_request"),
        ("another scheme", [(":scheme", "http")], 400, "malformed_request"),
        ("an absolute path", [(":path", "https://evil.test/v1/x")], 400, "malformed_request"),
        ("a path without slash", [(":path", "v1/x")], 400, "malformed_request"),
        ("an asterisk", [(":path", "*"), (":method", "OPTIONS")], 400, "malformed_request"),
        ("dot segments", [(":path", "/v1/x/../admin/y")], 403, "denied_by_rule"),
        ("a line break in a value", [("x", "a\r\nx-api-key: mine")], 400, "malformed_request"),
        ("NUL in a value", [("x", "a\0b")], 400, "malformed_request"),
        (
            "a line break in the path",
            [(":path", "/v1/x HTTP/1.1\r\nhost: evil.test\r\n\r\n")],
            400,
            "malformed_request",
        ),
        ("a coding (TE.TE)", [("transfer-encoding", "chunked")], 400, "malformed_request"),
        ("connection", [("connection", "x-api-key")], 400, "malformed_request"),
        ("upper case", [("X-Api-Key", "mine")], 400, "malformed_request"),
        ("two authorizations", [("authorization", "a"), ("authorization", "b")], 400, "malformed_request"),
        ("a tunnel in the tunnel", [(":method", "CONNECT")], 400, "malformed_request"),
        ("TRACE", [(":method", "TRACE")], 403, "method_not_allowed"),
        ("a length without a body", [("content-length", "5")], 400, "malformed_request"),
        ("a placeholder elsewhere", [("x", "sk-ant-test-ELSEWHERE-PLACEHOLDER-000")], 403, "placeholder_leak"),
        ("no field name (CVE-2019-9516)", [("", "")], 400, "malformed_request"),
    ],
)
def test_attacks_on_one_stream(
    gateway: Serve,
    api: Upstream,
    ends: Callable[[], list[dict[str, Any]]],
    what: str,
    fields: list[tuple[str, str]],
    status: int,
    code: str,
) -> None:
    changes = dict(fields)
    with http2(gateway, "api.test") as client:
        usual = [(name, changes.get(name, value)) for name, value in client.fields("GET", "/v1/x")]
        pseudo = {":method", ":scheme", ":authority", ":path"}
        refused = client.answer(client.begin_with(usual + [one for one in fields if one[0] not in pseudo]))
        assert (refused.status, refused.code) == (status, code)
        assert api.seen == []
        assert client.request("GET", "/v1/x").status == 200, "the connection goes on"
    assert [one["code"] for one in ends() if one["verdict"] == "deny"] == [code]


def test_a_name_in_tls_that_is_not_the_tunnels(gateway: Serve, api: Upstream) -> None:
    with http2(gateway, "api.test", sni="evil.test") as client:
        for _ in range(2):
            refused = client.request("GET", "/v1/x")
            assert (refused.status, refused.code) == (421, "host_mismatch")
    assert api.seen == []
