"""Heads, octet by octet (RFC 9112), and against llhttp as a second opinion."""

from __future__ import annotations

import contextlib

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outward.core import ClientError, UpstreamError
from outward.gateway.http1 import (
    CHUNKED,
    MAX_HEAD,
    UNTIL_CLOSE,
    parse_request,
    parse_response,
    response_framing,
    split_head,
)

GOOD = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.test\r\nX-Key: a b\xe9\r\nContent-Length: 5\r\n\r\n"


def test_a_request_head() -> None:
    head = parse_request(GOOD)
    assert (head.method, head.target, head.minor, head.length) == ("POST", "/v1/messages?beta=true", 1, 5)
    assert head.fields == [
        ("host", "Host", "api.test"),
        ("x-key", "X-Key", "a b\xe9"),
        ("content-length", "Content-Length", "5"),
    ]
    assert head.host == "api.test"
    assert head.keep_alive


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("bare LF ends a line (RFC 9112 §2.2)", GOOD.replace(b"X-Key: a b\xe9\r\n", b"X-Key: a\n")),
        ("bare CR in a value (§2.2)", GOOD.replace(b"a b", b"a\rb")),
        ("NUL in a value (RFC 9110 §5.5)", GOOD.replace(b"a b", b"a\0b")),
        ("control character in a value", GOOD.replace(b"a b", b"a\x0bb")),
        ("DEL in a value", GOOD.replace(b"a b", b"a\x7fb")),
        ("obs-fold (RFC 9112 §5.2)", GOOD.replace(b"a b\xe9", b"a\r\n b")),
        ("space before the colon (§5.1)", GOOD.replace(b"X-Key:", b"X-Key :")),
        ("space before the name", GOOD.replace(b"X-Key:", b" X-Key:")),
        ("no name", GOOD.replace(b"X-Key:", b":")),
        ("no colon", GOOD.replace(b"X-Key: a b\xe9", b"X-Key")),
        ("a name that is not a token", GOOD.replace(b"X-Key", b"X(Key")),
        ("octets above ASCII in a name", GOOD.replace(b"X-Key", b"X-K\xe9y")),
        ("two Host fields (RFC 9110 §7.2)", GOOD.replace(b"X-Key: a b\xe9", b"host: api.test")),
        ("no Host field", GOOD.replace(b"Host: api.test\r\n", b"")),
        ("two lengths that differ (RFC 9112 §6.3)", GOOD.replace(b"X-Key: a b\xe9", b"Content-Length: 6")),
        ("two lengths that agree", GOOD.replace(b"X-Key: a b\xe9", b"Content-Length: 5")),
        ("a list of lengths", GOOD.replace(b"Length: 5", b"Length: 5, 5")),
        ("a signed length", GOOD.replace(b"Length: 5", b"Length: +5")),
        ("a hexadecimal length", GOOD.replace(b"Length: 5", b"Length: 0x5")),
        ("an empty length", GOOD.replace(b"Length: 5", b"Length:")),
        ("a length and a coding (CL.TE)", GOOD.replace(b"X-Key: a b\xe9", b"Transfer-Encoding: chunked")),
        ("an unknown coding", GOOD.replace(b"Content-Length: 5", b"Transfer-Encoding: xchunked")),
        ("two codings in a list", GOOD.replace(b"Content-Length: 5", b"Transfer-Encoding: gzip, chunked")),
        (
            "two coding fields",
            GOOD.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
        ),
        (
            "a coding in HTTP/1.0",
            GOOD.replace(b"1.1", b"1.0").replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        ),
        ("an unknown version", GOOD.replace(b"HTTP/1.1", b"HTTP/1.2")),
        ("HTTP/2 in text", GOOD.replace(b"HTTP/1.1", b"HTTP/2.0")),
        ("HTTP/0.9", b"GET /\r\n\r\n"),
        ("two spaces in the request line (RFC 9112 §3)", GOOD.replace(b"POST /", b"POST  /")),
        ("a tab in the request line", GOOD.replace(b"POST /", b"POST\t/")),
        ("a space in the target", GOOD.replace(b"/messages", b"/mess ages")),
        ("NUL in the target", GOOD.replace(b"/messages", b"/mess\0ages")),
        ("a lower-case method", GOOD.replace(b"POST", b"post")),
        ("an unknown expectation (RFC 9110 §10.1.1)", GOOD.replace(b"X-Key: a b\xe9", b"Expect: 200-maybe")),
        ("two expectations", GOOD.replace(b"X-Key: a b\xe9", b"Expect: 100-continue\r\nExpect: 100-continue")),
        ("two authorizations", GOOD.replace(b"X-Key: a b\xe9", b"Authorization: a\r\nauthorization: b")),
        ("too many fields", GOOD.replace(b"X-Key: a b\xe9\r\n", b"a: b\r\n" * 201)),
    ],
)
def test_an_ambiguous_request_is_refused(what: str, data: bytes) -> None:
    parse_request(GOOD)  # the attack is the only difference
    with pytest.raises(ClientError):
        parse_request(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (GOOD[:-1], 0),
        (GOOD, len(GOOD)),
        (GOOD + b"hello", len(GOOD)),
    ],
)
def test_where_a_head_ends(data: bytes, expected: int) -> None:
    assert split_head(data) == expected


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\n", b"x" * MAX_HEAD])
def test_a_head_that_never_ends_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ClientError):
        split_head(data)


@pytest.mark.parametrize(
    ("minor", "connection", "expected"),
    [(1, None, True), (1, "close", False), (1, "Foo, CLOSE", False), (0, None, False), (0, "keep-alive", True)],
)
def test_keep_alive(minor: int, connection: str | None, expected: bool) -> None:
    line = f"Connection: {connection}\r\n" if connection else ""
    assert parse_request(f"GET / HTTP/1.{minor}\r\nHost: a\r\n{line}\r\n".encode()).keep_alive is expected


@pytest.mark.parametrize(
    ("upgrade", "connection", "expected"),
    [
        ("websocket", "Upgrade", True),
        ("WebSocket", "keep-alive, upgrade", True),
        ("h2c", "Upgrade, HTTP2-Settings", False),  # RFC 9113 §3.1: gone, and a way around every check
        ("websocket", "keep-alive", False),
        ("websocket, h2c", "Upgrade", False),
    ],
)
def test_only_websocket_upgrades(upgrade: str, connection: str, expected: bool) -> None:
    head = f"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: {upgrade}\r\nConnection: {connection}\r\n\r\n"
    assert parse_request(head.encode()).websocket is expected


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "method", "expected"),
    [
        (ANSWER, "GET", 2),
        (ANSWER, "HEAD", 0),
        (ANSWER.replace(b"200", b"204"), "GET", 0),
        (ANSWER.replace(b"200", b"304"), "GET", 0),
        (ANSWER.replace(b"200", b"103"), "GET", 0),
        (ANSWER.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"), "GET", CHUNKED),
        (ANSWER.replace(b"Content-Length: 2\r\n", b""), "GET", UNTIL_CLOSE),
        (ANSWER.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"), "GET", 2),
        (ANSWER.replace(b" OK", b""), "GET", 2),
    ],
)
def test_response_framing(data: bytes, method: str, expected: int) -> None:
    assert response_framing(parse_response(data), method) == expected


@pytest.mark.parametrize(
    "data",
    [
        ANSWER.replace(b"HTTP/1.1", b"HTTP/2"),
        ANSWER.replace(b"200", b"20"),
        ANSWER.replace(b"200", b"600"),
        ANSWER.replace(b"2\r\n", b"2\r\nContent-Length: 3\r\n"),
        ANSWER.replace(b"2\r\n", b"2\r\nTransfer-Encoding: chunked\r\n"),
        ANSWER.replace(b"Content-Length: 2", b"Transfer-Encoding: gzip"),
        ANSWER.replace(b"2\r\n", b"2\r\nX: a\r\n b\r\n"),
        ANSWER.replace(b"2\r\n", b"2\r\nX: \0\r\n"),
        ANSWER.replace(b"2\r\n", b"-2\r\n"),
    ],
)
def test_a_broken_answer_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamError):
        parse_response(data)


class _Collected:
    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


_octets = st.binary(max_size=12)
_fields = st.lists(
    st.tuples(
        st.sampled_from([b"Host", b"Content-Length", b"Transfer-Encoding", b"X-A", b"x-b", b"Connection", b"A B", b""]),
        st.sampled_from([b":", b": ", b" :", b""]),
        st.one_of(_octets, st.sampled_from([b"a.test", b"5", b"chunked", b"close", b"a\r\n b", b"\t x \t"])),
        st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]),
    ),
    max_size=5,
)
_lines = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"GET  / HTTP/1.1", b"GET /\xe9 HTTP/1.0", b"get / HTTP/1.1"]
)


@given(line=_lines, fields=_fields)
@example(line=b"GET / HTTP/1.1", fields=[(b"Host", b": ", b"a.test", b"\r\n")])
def test_whatever_is_accepted_llhttp_reads_the_same(
    line: bytes, fields: list[tuple[bytes, bytes, bytes, bytes]]
) -> None:
    data = line + b"\r\n" + b"".join(b"".join(field) for field in fields) + b"\r\n"
    try:
        size = split_head(data)
        if size != len(data):
            return
        head = parse_request(data)
    except ClientError:
        return
    seen = _Collected()
    parser = httptools.HttpRequestParser(seen)
    with contextlib.suppress(httptools.HttpParserUpgrade):
        parser.feed_data(data)
    assert seen.url == head.target.encode("latin-1")
    assert parser.get_method().decode() == head.method
    assert [(n, v.rstrip(b" \t")) for n, v in seen.fields] == [
        (name.encode("latin-1"), value.encode("latin-1")) for _, name, value in head.fields
    ]
