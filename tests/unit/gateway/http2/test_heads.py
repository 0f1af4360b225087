"""Field lists and the heads that they stand for (RFC 9113 §8), with HTTP/1.1's parser and llhttp as second opinions."""

from __future__ import annotations

import base64
import contextlib

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outward.core import ClientError, UpstreamError
from outward.gateway.http1 import CHUNKED, UNTIL_CLOSE, parse_request, response_framing
from outward.gateway.http2.heads import FieldLine, field_list, request_head, response_head, trailer_section
from tests.support.changed import values

GOOD: list[FieldLine] = [
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":authority", b"api.test"),
    (b":path", b"/v1/messages?beta=true"),
    (b"x-key", b"a b\xe9"),
    (b"content-length", b"5"),
]


def changed(name: bytes, value: bytes | None) -> list[FieldLine]:
    """``GOOD`` with one field replaced, or without it."""
    fields = [(n, v) if n != name else (n, value or b"") for n, v in GOOD]
    return fields if value is not None else [field for field in fields if field[0] != name]


def read(fields: list[FieldLine], *, ended: bool = False) -> object:
    return request_head(fields, scheme="https", ended=ended)


def test_a_request() -> None:
    head = request_head(GOOD, scheme="https", ended=False)
    assert (head.method, head.target, head.host, head.length) == ("POST", "/v1/messages?beta=true", "api.test", 5)
    assert head.fields == [
        ("host", "host", "api.test"),
        ("x-key", "x-key", "a b\xe9"),
        ("content-length", "content-length", "5"),
    ]
    assert "a b\xe9" in head.text, "placeholders are looked for in the text"
    assert not head.websocket


def test_the_end_of_a_body_without_length_is_the_end_of_its_stream() -> None:
    assert request_head(changed(b"content-length", None), scheme="https", ended=False).length == CHUNKED
    assert request_head(changed(b"content-length", None), scheme="https", ended=True).length == 0
    assert request_head(changed(b"content-length", b"0"), scheme="https", ended=True).length == 0


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("upper case in a name (RFC 9113 §8.2.1)", [*GOOD, (b"X-Key", b"1")]),
        ("no name (CVE-2019-9516)", [*GOOD, (b"", b"")]),
        ("a name that is not a token", [*GOOD, (b"x(key", b"1")]),
        ("a colon in a name", [*GOOD, (b"x:y", b"1")]),
        ("CR LF in a name", [*GOOD, (b"x\r\nhost", b"1")]),
        ("CR LF in a value", [*GOOD, (b"x", b"1\r\nhost: evil.test")]),
        ("CR in a value", [*GOOD, (b"x", b"1\r2")]),
        ("LF in a value", [*GOOD, (b"x", b"1\n2")]),
        ("NUL in a value", [*GOOD, (b"x", b"1\x002")]),
        ("a control character in a value", [*GOOD, (b"x", b"1\x0b2")]),
        ("a space before a value (§8.2.1)", [*GOOD, (b"x", b" 1")]),
        ("a tab after a value", [*GOOD, (b"x", b"1\t")]),
        ("connection (§8.2.2)", [*GOOD, (b"connection", b"x-key")]),
        ("transfer-encoding", [*GOOD, (b"transfer-encoding", b"chunked")]),
        ("keep-alive", [*GOOD, (b"keep-alive", b"1")]),
        ("proxy-connection", [*GOOD, (b"proxy-connection", b"close")]),
        ("upgrade", [*GOOD, (b"upgrade", b"websocket")]),
        ("HTTP2-Settings", [*GOOD, (b"http2-settings", b"")]),
        ("te that is not trailers", [*GOOD, (b"te", b"gzip")]),
        ("no :method (§8.3.1)", changed(b":method", None)),
        ("no :scheme", changed(b":scheme", None)),
        ("no :path", changed(b":path", None)),
        ("no :authority", changed(b":authority", None)),
        ("an empty :path", changed(b":path", b"")),
        ("an empty :authority", changed(b":authority", b"")),
        ("another :scheme", changed(b":scheme", b"http")),
        ("a lower-case method", changed(b":method", b"post")),
        ("a method with a space", changed(b":method", b"GET /x")),
        ("a path with a space", changed(b":path", b"/x HTTP/1.1")),
        ("a path with CR LF", changed(b":path", b"/x HTTP/1.1\r\nhost: evil.test\r\nx: y")),
        ("a path with NUL", changed(b":path", b"/x\0")),
        ("an :authority with CR LF", changed(b":authority", b"api.test\r\nx: y")),
        ("an :authority with a space", changed(b":authority", b"api.test evil.test")),
        (":method twice (§8.3)", [(b":method", b"GET"), *GOOD]),
        (":path twice", [(b":path", b"/v1/messages?beta=true"), *GOOD]),
        ("a pseudo-header after a field", [*GOOD, (b":protocol", b"websocket")]),
        (":status in a request", [(b":status", b"200"), *GOOD]),
        ("an unknown pseudo-header", [(b":outward", b"1"), *GOOD]),
        ("nothing but a colon", [(b":", b"1"), *GOOD]),
        ("host that is not :authority", [*GOOD, (b"host", b"evil.test")]),
        ("two hosts", [*GOOD, (b"host", b"api.test"), (b"host", b"api.test")]),
        ("two lengths", [*GOOD, (b"content-length", b"5")]),
        ("a list of lengths", changed(b"content-length", b"5, 5")),
        ("a signed length", changed(b"content-length", b"+5")),
        ("two authorizations", [*GOOD, (b"authorization", b"a"), (b"authorization", b"b")]),
        ("an unknown expectation", [*GOOD, (b"expect", b"200-maybe")]),
        ("too many fields", GOOD + [(b"x", b"1")] * 200),
        ("CONNECT in a tunnel (§8.5)", [(b":method", b"CONNECT"), (b":authority", b"evil.test:443")]),
        ("CONNECT with a path and no protocol", changed(b":method", b"CONNECT")),
        (":protocol without CONNECT (RFC 8441 §4)", [(b":protocol", b"websocket"), *GOOD]),
    ],
)
def test_malformed_requests_are_refused(what: str, fields: list[FieldLine]) -> None:
    with pytest.raises(ClientError):
        read(fields)


def test_a_body_that_was_announced_has_to_come() -> None:
    with pytest.raises(ClientError, match="announced"):
        read(GOOD, ended=True)


def test_a_host_field_may_stand_for_the_authority() -> None:
    head = request_head([*changed(b":authority", None), (b"host", b"api.test")], scheme="https", ended=False)
    assert [field for field in head.fields if field[0] == "host"] == [("host", "host", "api.test")]
    both = request_head([*GOOD, (b"host", b"API.test")], scheme="https", ended=False)
    assert both.host == "api.test"


def test_crumbs_of_a_cookie_become_one_field() -> None:
    fields = [*GOOD, (b"cookie", b"a=b"), (b"x", b"1"), (b"cookie", b"c=d")]
    head = request_head(fields, scheme="https", ended=False)
    assert [value for key, _, value in head.fields if key == "cookie"] == ["a=b; c=d"], "RFC 9113 §8.2.3"


def test_te_trailers_is_a_field_like_others() -> None:
    head = request_head([*GOOD, (b"te", b"trailers")], scheme="https", ended=False)
    assert ("te", "te", "trailers") in head.fields


# -- WebSockets (RFC 8441)

CHAT: list[FieldLine] = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"https"),
    (b":path", b"/chat"),
    (b":authority", b"api.test"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-protocol", b"chat"),
]


def test_an_extended_connect_is_the_upgrade_that_it_stands_for() -> None:
    head = request_head([*CHAT, (b"sec-websocket-key", b"theirs")], scheme="https", ended=False)
    assert (head.method, head.target, head.websocket, head.length) == ("GET", "/chat", True, 0)
    (key,) = [value for name, _, value in head.fields if name == "sec-websocket-key"]
    assert len(base64.b64decode(key)) == 16
    again = request_head(CHAT, scheme="https", ended=False)
    assert key not in again.text, "a key is used once"


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("another protocol", [(n, b"connect-udp" if n == b":protocol" else v) for n, v in CHAT]),
        ("an empty protocol", [(n, b"" if n == b":protocol" else v) for n, v in CHAT]),
        ("no scheme", [field for field in CHAT if field[0] != b":scheme"]),
        ("no path", [field for field in CHAT if field[0] != b":path"]),
        ("a length", [*CHAT, (b"content-length", b"0")]),
    ],
)
def test_other_extended_connects_are_refused(what: str, fields: list[FieldLine]) -> None:
    with pytest.raises(ClientError):
        read(fields)


def test_a_websocket_that_ends_as_it_begins_is_refused() -> None:
    with pytest.raises(ClientError):
        read(CHAT, ended=True)


# -- answers


def test_an_answer() -> None:
    head = response_head([(b":status", b"200"), (b"content-length", b"3"), (b"x-a", b"b\xe9")])
    assert (head.status, head.length, head.chunked) == (200, 3, False)
    assert head.lines == [("content-length", "content-length: 3"), ("x-a", "x-a: b\xe9")]
    assert response_framing(response_head([(b":status", b"200")]), "GET") == UNTIL_CLOSE


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("no :status (RFC 9113 §8.3.2)", [(b"x-a", b"b")]),
        ("two", [(b":status", b"200"), (b":status", b"200")]),
        ("after a field", [(b"x-a", b"b"), (b":status", b"200")]),
        ("not a number", [(b":status", b"2OO")]),
        ("too long", [(b":status", b"2000")]),
        ("out of range", [(b":status", b"600")]),
        ("switching protocols (§8.6)", [(b":status", b"101")]),
        ("with a request's pseudo-header", [(b":status", b"200"), (b":path", b"/")]),
        ("connection", [(b":status", b"200"), (b"connection", b"close")]),
        ("transfer-encoding", [(b":status", b"200"), (b"transfer-encoding", b"chunked")]),
        ("CR LF in a value", [(b":status", b"200"), (b"x", b"a\r\nset-cookie: b")]),
        ("CR LF in :status", [(b":status", b"200\r\n")]),
        ("upper case", [(b":status", b"200"), (b"X-A", b"b")]),
        ("two lengths", [(b":status", b"200"), (b"content-length", b"1"), (b"content-length", b"2")]),
    ],
)
def test_malformed_answers_are_refused(what: str, fields: list[FieldLine]) -> None:
    with pytest.raises(UpstreamError):
        response_head(fields)


def test_trailers() -> None:
    fields = [(b"grpc-status", b"0"), (b"x", b"")]
    section = trailer_section(fields, UpstreamError)
    assert section == "grpc-status: 0\r\nx: \r\n"
    assert field_list(section.split("\r\n")[:-1]) == fields


@pytest.mark.parametrize("field", [(b":status", b"200"), (b"X", b"1"), (b"x", b"1\r\ny: 2"), (b"connection", b"x")])
def test_malformed_trailers_are_refused(field: FieldLine) -> None:
    for blame in (ClientError, UpstreamError):
        with pytest.raises(blame):
            trailer_section([(b"grpc-status", b"0"), field], blame)


def test_lines_become_fields() -> None:
    assert field_list(["X-Key:  a: b \t", "Empty:"]) == [(b"x-key", b"a: b"), (b"empty", b"")]


# -- whatever gets through is one request to everybody


class Second:
    """llhttp's reading of a request."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


NAMES = st.sampled_from(
    [b"x", b"host", b"cookie", b"te", b"upgrade", b"Content-Length", b"content-length", b":path", b""]
)
OCTETS = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"api.test", b"trailers", b"5", b"/a", b"a\r\nb: c", b" x"])
)


@given(
    st.lists(st.tuples(st.one_of(NAMES, st.binary(max_size=6)), OCTETS), max_size=5),
    st.one_of(st.just(b"/v1"), st.binary(max_size=8)),
    st.one_of(st.just(b"GET"), st.binary(max_size=6)),
    st.one_of(st.just(b"api.test"), st.binary(max_size=8)),
    st.booleans(),
)
@example([(b"x", b"y\r\n\r\nGET /evil HTTP/1.1\r\nhost: api.test")], b"/v1", b"GET", b"api.test", True)
def test_nothing_becomes_two_things(
    fields: list[FieldLine], path: bytes, method: bytes, authority: bytes, ended: bool
) -> None:
    given_fields = [(b":method", method), (b":scheme", b"https"), (b":path", path), (b":authority", authority), *fields]
    with contextlib.suppress(ClientError):
        head = request_head(given_fields, scheme="https", ended=ended)
        octets = head.text.encode("latin-1")
        assert values(parse_request(octets).with_length(head.length)) == values(head), (
            "HTTP/1.1's parser takes it for the same"
        )
        assert (head.method.encode(), head.target.encode()) == (method, path)
        sent = [field for field in fields if field[0] not in {b"host", b"cookie"}]
        shown = [(n.encode("latin-1"), v.encode("latin-1")) for n, _, v in head.fields]
        assert [field for field in shown if field[0] not in {b"host", b"cookie"}] == sent
        second = Second()
        # It knows registered methods only, and looks into the target, which is for the route to do.
        with contextlib.suppress(httptools.HttpParserInvalidMethodError, httptools.HttpParserInvalidURLError):
            parser = httptools.HttpRequestParser(second)
            parser.feed_data(octets)
            assert second.url == path
            assert len(second.headers) == len(head.fields)
