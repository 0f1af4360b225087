"""What goes upstream and what comes back, line by line."""

from __future__ import annotations

import pytest

from outward.core import Destination, Injection, Proxy, Request, Secret, authority
from outward.credentials import CredentialStore
from outward.credentials.injector import Injector
from outward.credentials.scrub import Scrubber
from outward.gateway.http1 import parse_request, parse_response
from outward.gateway.rewrite import masked_query, request_head, response_head, trailer_section
from outward.gateway.upstream_proxy import Forwarding, Login
from outward.policy import SecretSpec

SPECS = {"key": SecretSpec("key", "env", "KEY", None, None, "PLACEHOLDER-1")}


def injector(*injections: Injection) -> Injector:
    store = CredentialStore(SPECS, environment={"KEY": "value-123456"})
    for name in SPECS:
        run(store.get(name))
    one = Injector(Destination("api.test", "api.test", 443, "https", (), tuple(injections)), store)
    assert one.ready()
    return one


def run(coroutine: object) -> None:
    import asyncio

    asyncio.run(coroutine)  # type: ignore[arg-type]


HEADER = Injection("header", ("key",), name="x-api-key", template="{key}")


def sent(raw: str, one: Injector, path: str = "/a", query: str = "") -> list[str]:
    head = parse_request(raw.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    request = Request("default", head.method, "https", "api.test", 443, path, path, query)
    text = request_head(head, request, one).decode()
    assert text.endswith("\r\n\r\n")
    return text.removesuffix("\r\n\r\n").split("\r\n")


def test_the_head_is_written_anew() -> None:
    lines = sent("GET /%61 HTTP/1.1\nhost:   API.test.:443\nAccept:  */*  \nX-Api-Key: mine", injector(HEADER))
    assert lines == [
        "GET /a HTTP/1.1",
        "Host: api.test",
        "Accept: */*",
        "x-api-key: value-123456",
        "accept-encoding: identity",
    ]


@pytest.mark.parametrize(
    "field",
    ["Accept-Encoding: br", "A-IM: vcdiff, gzip", "gRPC-Accept-Encoding: gzip", "Connect-Accept-Encoding: gzip"],
)
def test_nothing_is_asked_for_in_which_a_secret_could_not_be_found(field: str) -> None:
    raw = f"GET /a HTTP/1.1\nHost: api.test\n{field}"
    assert sent(raw, injector(HEADER))[2:] == ["x-api-key: value-123456", "accept-encoding: identity"]
    assert sent(raw, injector())[2:] == [field]


def test_without_injection_nothing_is_added() -> None:
    lines = sent("GET /a HTTP/1.1\nHost: api.test\nAccept-Encoding: br", injector())
    assert lines == ["GET /a HTTP/1.1", "Host: api.test", "Accept-Encoding: br"]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("POST /a HTTP/1.1\nHost: a\nContent-Length: 0005", "Content-Length: 5"),
        ("POST /a HTTP/1.1\nHost: a", "Content-Length: 0"),
        ("POST /a HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked", "Transfer-Encoding: chunked"),
        ("GET /a HTTP/1.1\nHost: a\nUpgrade: WebSocket\nConnection: upgrade", "Upgrade: websocket"),
    ],
)
def test_framing_is_ours(raw: str, line: str) -> None:
    lines = sent(raw, injector())
    assert lines[-1] == line
    assert len([one for one in lines if one.lower().startswith(line.partition(":")[0].lower())]) == 1


def test_an_authorization_is_swapped_only_where_it_holds_the_placeholder() -> None:
    swapping = injector(Injection("placeholder", ("key",), places=frozenset({"header", "basic"})))
    kept = sent("GET /a HTTP/1.1\nHost: a\nAuthorization: token PLACEHOLDER-1", swapping)
    assert "Authorization: token value-123456" in kept
    gone = sent("GET /a HTTP/1.1\nHost: a\nAuthorization: token mine", swapping)
    assert not any(line.startswith("Authorization") for line in gone)
    elsewhere = injector(Injection("placeholder", ("key",), places=frozenset({"basic"})))
    assert not any("value" in line for line in sent("GET /a HTTP/1.1\nHost: a\nX: PLACEHOLDER-1", elsewhere))


def test_the_answer_is_written_anew_and_scrubbed() -> None:
    raw = (
        b"HTTP/1.1 200 Fine\r\nConnection: X-Gone\r\nX-Gone: 1\r\nAlt-Svc: h3\r\nX-Outward-Verdict: allow\r\n"
        b"Content-Length: 3\r\nLocation: /?k=value-123456\r\n\r\n"
    )
    text = response_head(parse_response(raw), "content-length: 3\r\n", Scrubber([(b"value-123456", b"PLACEHOLDER-")]))
    assert text == b"HTTP/1.1 200 Fine\r\nLocation: /?k=PLACEHOLDER-\r\ncontent-length: 3\r\n\r\n"


def test_trailers_that_would_be_headers_are_dropped() -> None:
    trailers = "Grpc-Status: 0\r\nContent-Length: 5\r\nSet-Cookie: a\r\nTransfer-Encoding: chunked\r\n"
    assert trailer_section(trailers, None) == "Grpc-Status: 0\r\n"


@pytest.mark.parametrize(("query", "shown"), [("a=b&c=d&e", "a=***&c=***&***"), ("", "***"), ("a=b=c", "a=***")])
def test_queries_are_masked(query: str, shown: str) -> None:
    assert masked_query(query) == shown


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("a", 443, "https"), "a"),
        (("a", 80, "https"), "a:80"),
        (("::1", 80, "http"), "[::1]"),
        (("::1", 1, "http"), "[::1]:1"),
    ],
)
def test_authorities(parts: tuple[str, int, str], expected: str) -> None:
    assert authority(*parts) == expected


# -- to a proxy


def forwarded(raw: str, one: Injector, login: Login | None) -> list[str]:
    head = parse_request(raw.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    request = Request("default", head.method, "http", "api.test", 8080, "/a", "/a", "q=1")
    text = request_head(head, request, one, Forwarding(Proxy("http", "proxy.test", 3128), login)).decode()
    return text.removesuffix("\r\n\r\n").split("\r\n")


def test_a_proxy_is_told_the_server() -> None:
    raw = (
        "GET http://api.test:8080/a?q=1 HTTP/1.1\nHost: api.test:8080\nProxy-Authorization: mine\nAccept-Encoding: gzip"
    )
    assert forwarded(raw, injector(), None) == [
        "GET http://api.test:8080/a?q=1 HTTP/1.1",
        "Host: api.test:8080",
        "Accept-Encoding: gzip",
    ]
    assert forwarded(raw, injector(), Login(b"user", Secret("corp", b"p@ss"))) == [
        "GET http://api.test:8080/a?q=1 HTTP/1.1",
        "Host: api.test:8080",
        "proxy-authorization: Basic dXNlcjpwQHNz",
        "accept-encoding: identity",
    ]


@pytest.mark.parametrize(
    ("username", "password", "shown"),
    [(b"user", b"corp-test-Passw0rd", "corp-test-Passw0rd"), (b"corp-test-t0ken", b"", "corp-test-t0ken")],
)
def test_a_proxy_s_credentials_are_scrubbed_with_the_others(username: bytes, password: bytes, shown: str) -> None:
    via = Forwarding(Proxy("http", "proxy.test", 3128), Login(username, Secret("corp", password)))
    destination = injector(HEADER).scrubber
    for scrubber, others in ((via.scrubber(None), True), (via.scrubber(destination), False)):
        assert scrubber is not None
        assert shown not in scrubber.text(f"x {shown} y")
        assert ("value-123456" in scrubber.text("x value-123456 y")) is others
    assert Forwarding(Proxy("http", "proxy.test", 3128), None).scrubber(destination) is destination
