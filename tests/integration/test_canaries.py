"""A placeholder that is sent to where it is not bound: refused, recorded, listed; whatever carries it."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.http2 import http2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

STAND_IN = "ghp_FAKEplaceholder0123456789abcdefAB"
BOUND = "sk-ant-FAKE-placeholder-of-the-model-0"
POLICY = """
secrets:
  github: {{env: GITHUB, placeholder: {stand_in}}}
  model: {{env: MODEL, placeholder: {bound}}}
destinations:
  - host: model.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{{header: x-api-key, secret: model}}]
    {more}
  - host: git.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: [GET /**]
    inject: [{{placeholder: github}}]
  - host: "*.wild.test"
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: [GET /**]
"""
TEXT = "content-type: application/json\r\n"


@pytest.fixture
def start(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> Callable[..., tuple[Serve, Upstream]]:
    def begin(more: str = "") -> tuple[Serve, Upstream]:
        server = upstream("model.test", "git.test", "x.wild.test")
        text = POLICY.format(port=server.port, stand_in=STAND_IN, bound=BOUND, more=more)
        return serve(text, env={"GITHUB": "ghp_REAL", "MODEL": "sk-REAL"}), server

    return begin


def post(gateway: Serve, body: bytes, fields: str = TEXT):
    return gateway.get("model.test", "/v1/messages", fields, method="POST", body=body)


BODIES = {
    "as it is": STAND_IN.encode(),
    "for a URL": quote(STAND_IN.replace("_", "%5f"), safe="%").encode(),
    "in base64": base64.b64encode(b"x:" + STAND_IN.encode()),
    "behind much": b" " * 1_500_000 + STAND_IN.encode() + b" " * 10,
}


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_in_the_body_it_is_refused_and_recorded(start: Callable[..., tuple[Serve, Upstream]], text: bytes) -> None:
    gateway, server = start()
    body = b'{"env": "' + text + b'"}'
    answer = post(gateway, body)
    assert (answer.status, answer.code) == (403, "placeholder_leak")
    assert not any(text in seen.body for seen in server.seen)
    record = gateway.journal()[-1]
    assert (record["code"], record["secrets"], record["verdict"]) == ("placeholder_leak", ["github"], "deny")
    (row,) = [row for row in json.loads(gateway.run("secret", "list", "--json").stdout) if row["name"] == "github"]
    assert [(leak["host"], leak["passed"]) for leak in row["leaks"]] == [("model.test", False)]
    assert post(gateway, b"{}").status == 200


def test_without_any_placeholder_in_it_a_body_arrives_as_it_is(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start()
    sent = json.dumps({"half": STAND_IN[:-1], "end": STAND_IN[:20]}).encode() + STAND_IN[:30].encode()
    assert post(gateway, sent).status == 200
    assert server.seen[-1].body == sent


def test_in_the_body_for_whom_it_is_bound_it_passes_unswapped(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    """An agent tells its model about its environment."""
    gateway, server = start()
    sent = f'{{"env": "KEY={BOUND}"}}'.encode()
    assert post(gateway, sent).status == 200
    assert server.seen[-1].body == sent


@pytest.mark.parametrize("cut", [1, 12, 30])
def test_in_pieces_it_is_found_and_never_complete(start: Callable[..., tuple[Serve, Upstream]], cut: int) -> None:
    gateway, server = start()
    first, second = f"x{STAND_IN[:cut]}".encode(), STAND_IN[cut:].encode()
    with gateway.tunnel("model.test") as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: model.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"%x\r\n%b\r\n" % (len(first), first))
        time.sleep(0.05)  # so that it has gone on
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(second), second))
        answer = client.read_answer()
    assert (answer.status, answer.code) == (403, "placeholder_leak")
    assert not any(STAND_IN.encode() in seen.body for seen in server.seen)


def test_a_client_of_http2_is_refused_likewise(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start()
    with http2(gateway, "model.test") as client:
        answer = client.request("POST", "/a", body=b"x" * 40_000 + STAND_IN.encode())
        assert answer.status == 403
        assert client.request("POST", "/a", body=b"fine").status == 200
    assert [seen.body for seen in server.seen if seen.complete] == [b"fine"]


def test_where_the_policy_says_so_it_passes_and_is_recorded(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start("canaries: {body: record}")
    sent = f'{{"env": "GITHUB_TOKEN={STAND_IN}"}}'.encode()
    assert post(gateway, sent).status == 200
    assert server.seen[-1].body == sent
    record = gateway.journal()[-1]
    assert (record["verdict"], record["leaks"], record["secrets"]) == ("allow", ["github"], ["model"])
    (row,) = [row for row in json.loads(gateway.run("secret", "list", "--json").stdout) if row["name"] == "github"]
    assert [(leak["host"], leak["passed"]) for leak in row["leaks"]] == [("model.test", True)]
    assert "the placeholder of github passed" in gateway.run("log").stdout
    # Only in bodies.
    assert gateway.get("model.test", "/a", f"x-note: {STAND_IN}\r\n").code == "placeholder_leak"


@pytest.mark.parametrize(
    "path", ["/a?x=" + STAND_IN.replace("_", "%5F"), "/a?x=" + base64.urlsafe_b64encode(STAND_IN.encode()).decode()]
)
def test_in_the_query_in_any_spelling(start: Callable[..., tuple[Serve, Upstream]], path: str) -> None:
    gateway, server = start()
    assert gateway.get("model.test", path).code == "placeholder_leak"
    assert not server.seen


@pytest.mark.parametrize("host", ["{}.evil.test", "{}.wild.test"])
def test_in_a_host_name(start: Callable[..., tuple[Serve, Upstream]], host: str) -> None:
    gateway, _ = start()
    name = host.format(STAND_IN.replace("_", "-").lower())
    with gateway.dial() as client:
        answer = client.connect(f"{name}:443")
    assert (answer.status, answer.code) == (403, "placeholder_leak")
    record = gateway.journal()[-1]
    assert (record["code"], record["secrets"], record["kind"]) == ("placeholder_leak", ["github"], "connect")
    with gateway.dial() as client:
        assert client.connect("x.wild.test:443").status == 200


NAME = STAND_IN.replace("_", "-").lower() + ".wild.test"


def test_in_the_name_that_tls_gives(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start()
    with gateway.dial() as client:
        assert client.connect("x.wild.test:443").status == 200
        client.start_tls(gateway.ca, NAME)
        answer = client.request("GET", "/", "x.wild.test")
    assert (answer.status, answer.code) == (403, "placeholder_leak")
    record = gateway.journal()[-1]
    assert (record["code"], record["secrets"]) == ("placeholder_leak", ["github"])
    with gateway.dial() as client:
        assert client.connect("x.wild.test:443").status == 200
        client.start_tls(gateway.ca, "y.wild.test")
        assert client.request("GET", "/", "x.wild.test").code == "host_mismatch"
    assert not server.seen


def test_in_the_name_of_plain_http(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, _ = start()
    with gateway.dial() as client:
        client.send(f"GET http://{NAME}/ HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert client.read_answer().code == "placeholder_leak"
    with gateway.dial() as client:
        client.send(b"GET http://x.wild.test/ HTTP/1.1\r\nHost: x.wild.test\r\n\r\n")
        assert client.read_answer().code != "placeholder_leak"
