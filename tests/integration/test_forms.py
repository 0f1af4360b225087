"""Each form of injection through the real gateway, from clients of HTTP/1.1 and HTTP/2, to a server that sees it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.codings import ENCODERS
from tests.support.http2 import http2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

KEY = "sk-test-REAL/0123456789+abcdefghij="
STAND_IN = "sk-test-FAKE/9876543210+jihgfedcba="

POLICY = """
secrets:
  key: {{env: KEY, placeholder: "{stand_in}"}}
  sid: {{env: SID, placeholder: "session-placeholder"}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{inject}]
    {more}
"""


@pytest.fixture
def start(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> Callable[..., tuple[Serve, Upstream]]:
    def begin(*inject: str, more: str = "") -> tuple[Serve, Upstream]:
        server = upstream("api.test")
        text = POLICY.format(port=server.port, inject=", ".join(inject), more=more, stand_in=STAND_IN)
        return serve(text, env={"KEY": KEY, "SID": "REAL-session-0123456789"}), server

    return begin


def test_a_parameter_is_ours_whatever_the_client_sends(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start("{query: key, secret: key}")
    answers = [
        gateway.get("api.test", path)
        for path in ("/a", "/a?b=1", "/a?b=1&key=mine", "/a?%6Bey=mine&b=1", "/a?b=1;KEY[]=mine")
    ]
    ours = f"key={quote(KEY, safe='')}"
    assert [seen.target for seen in server.seen] == [f"/a?{ours}", *[f"/a?b=1&{ours}"] * 4]
    assert all(answer.status == 200 for answer in answers)
    assert "mine" not in str([seen.target for seen in server.seen])
    journal = str(gateway.journal())
    assert KEY not in journal
    assert quote(KEY, safe="") not in journal


def test_without_the_form_the_clients_own_parameter_goes_out(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start("{header: x-api-key, secret: key}")
    gateway.get("api.test", "/a?key=mine")
    assert server.seen[0].target == "/a?key=mine"


ESCAPED = quote(STAND_IN, safe="")


@pytest.mark.parametrize(
    ("places", "token", "note"), [(", in: [query]", quote(KEY, safe=""), STAND_IN), ("", ESCAPED, KEY)]
)
def test_a_placeholder_is_swapped_where_it_is_bound_and_stays_elsewhere(
    start: Callable[..., tuple[Serve, Upstream]], places: str, token: str, note: str
) -> None:
    gateway, server = start(f"{{placeholder: key{places}}}")
    gateway.get("api.test", f"/a?x=1&token={ESCAPED}&y=+2", f"x-note: {STAND_IN}\r\n")
    (seen,) = server.seen
    assert seen.target == f"/a?x=1&token={token}&y=+2"
    assert seen["x-note"] == note, "a query is none of a header's places, nor a header one of a query's"


def test_a_cookie_replaces_all_of_the_clients(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start("{cookie: sid, secret: sid}")
    gateway.get("api.test", "/a", "cookie: theme=dark; sid=mine\r\nCookie: sid=again\r\n")
    gateway.get("api.test", "/a")
    assert [seen.all("cookie") for seen in server.seen] == [["sid=REAL-session-0123456789"]] * 2


def test_the_clients_other_cookies_pass_where_its_credentials_do(
    start: Callable[..., tuple[Serve, Upstream]],
) -> None:
    gateway, server = start("{cookie: sid, secret: sid}", more="client_credentials: pass")
    gateway.get("api.test", "/a", "cookie: theme=dark; sid=mine\r\n")
    assert server.seen[0].all("cookie") == ["sid=REAL-session-0123456789; theme=dark"]


BODIES = [
    ("application/json", b'{"token": "%s", "n": 1}', json.dumps(KEY)[1:-1]),
    ("application/x-www-form-urlencoded", b"grant=x&token=%s&n=1", quote(KEY, safe="")),
    ("text/plain", b"token: %s.", KEY),
]


@pytest.mark.parametrize(("kind", "text", "value"), BODIES)
@pytest.mark.parametrize("size", [0, 2_000_000])
def test_a_placeholder_in_the_body_is_swapped_and_the_length_is_right(
    start: Callable[..., tuple[Serve, Upstream]], kind: str, text: bytes, value: str, size: int
) -> None:
    gateway, server = start("{placeholder: key, in: [body]}")
    padding = b" " * size
    sent, wanted = text % STAND_IN.encode() + padding, text % value.encode() + padding
    answer = gateway.get("api.test", "/a", f"content-type: {kind}\r\n", method="POST", body=sent)
    assert answer.status == 200
    (seen,) = server.seen
    assert seen.body == wanted
    assert seen.all("content-length") == ([] if size else [str(len(wanted))])
    assert KEY not in str(gateway.journal())


@pytest.mark.parametrize("cut", [1, 30, 41])
def test_a_placeholder_in_pieces_is_swapped(start: Callable[..., tuple[Serve, Upstream]], cut: int) -> None:
    gateway, server = start("{placeholder: key, in: [body]}")
    sent = b"token: %s." % STAND_IN.encode()
    with gateway.tunnel("api.test") as client:
        head = b"POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"%x\r\n%b\r\n" % (cut, sent[:cut]))
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent) - cut, sent[cut:]))
        assert client.read_answer().status == 200
    assert server.seen[0].body == b"token: %s." % KEY.encode()


def test_a_client_of_http2_has_its_body_swapped(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start("{placeholder: key, in: [body]}")
    with http2(gateway, "api.test") as client:
        sent = b"token: %s." % STAND_IN.encode()
        for length in ([("content-length", str(len(sent)))], []):
            assert client.request("POST", "/a", ("content-type", "text/plain"), *length, body=sent).status == 200
    assert [seen.body for seen in server.seen] == [b"token: %s." % KEY.encode()] * 2


@pytest.mark.parametrize("inject", ["{placeholder: key}", "{placeholder: key, in: [query]}"])
def test_a_body_that_is_not_bound_is_not_touched(start: Callable[..., tuple[Serve, Upstream]], inject: str) -> None:
    gateway, server = start(inject)
    gateway.get("api.test", "/a", "content-type: text/plain\r\n", method="POST", body=STAND_IN.encode())
    assert server.seen[0].body == STAND_IN.encode()


@pytest.mark.parametrize(
    "fields",
    [
        "content-type: text/plain\r\ncontent-encoding: gzip\r\n",
        "content-type: application/octet-stream\r\n",
        "content-type: application/grpc\r\n",
        "",
    ],
)
def test_what_cannot_be_looked_into_is_not_touched(start: Callable[..., tuple[Serve, Upstream]], fields: str) -> None:
    gateway, server = start("{placeholder: key, in: [body]}")
    gateway.get("api.test", "/a", fields, method="POST", body=b"\x1f" + STAND_IN.encode())
    assert server.seen[0].body == b"\x1f" + STAND_IN.encode()


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_compressed_arrives_whole_and_without_the_value(
    start: Callable[..., tuple[Serve, Upstream]], version: int
) -> None:
    """Also where the compressed octets show the placeholder as it is: swapped in there, it would break them."""
    gateway, server = start("{placeholder: key, in: [header, query, body]}")
    text = STAND_IN.encode() * 2
    bodies = {name: encode(text) for name, encode in ENCODERS.items()} | {"gzip stored": gzip.compress(text, 0)}
    assert STAND_IN.encode() in bodies["gzip stored"]
    for name, body in bodies.items():
        fields = [("content-type", "text/plain"), ("content-encoding", name.partition(" ")[0])]
        if version == 1:
            head = "".join(f"{key}: {value}\r\n" for key, value in fields)
            assert gateway.get("api.test", "/a", head, method="POST", body=body).status == 200
        else:
            with http2(gateway, "api.test") as client:
                assert client.request("POST", "/a", *fields, body=body).status == 200
    assert [seen.body for seen in server.seen] == list(bodies.values())


def test_a_client_of_http2_gets_the_same(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start("{cookie: sid, secret: sid}", "{query: key, secret: key}")
    with http2(gateway, "api.test") as client:
        assert client.request("GET", "/a?b=1&key=mine", ("cookie", "sid=mine"), ("cookie", "theme=dark")).status == 200
    (seen,) = server.seen
    assert seen.target == f"/a?b=1&key={quote(KEY, safe='')}"
    assert seen.all("cookie") == ["sid=REAL-session-0123456789"]


def test_several_credentials_in_one_request(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start(
        "{cookie: sid, secret: sid}",
        "{query: key, secret: key}",
        "{header: x-api-key, secret: key}",
        '{header: authorization, value: "Bearer {key}"}',
        "{placeholder: sid}",
    )
    gateway.get("api.test", "/a", "x-session: session-placeholder\r\n")
    (seen,) = server.seen
    assert seen.target == f"/a?key={quote(KEY, safe='')}"
    assert (seen["x-api-key"], seen["authorization"]) == (KEY, f"Bearer {KEY}")
    assert (seen["cookie"], seen["x-session"]) == ("sid=REAL-session-0123456789", "REAL-session-0123456789")
