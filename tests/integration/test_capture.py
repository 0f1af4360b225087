"""Log-ins inside: what a token endpoint answers is kept outside, and the client gets stand-ins that work where they are bound."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from tests.support.http2 import http2
from tests.support.token_server import TokenServer, jwt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.client import Answer
    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

CAPTURE = "capture: {access_token: access, refresh_token: refresh}"
POLICY = """
secrets:
  access: {{captured: true}}
  refresh: {{captured: true}}
{agents}
destinations:
  - host: login.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: [{{methods: [POST], path: /token, {capture}}}]
    inject: [{{placeholder: refresh, in: [body]}}]
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /api/**"]
    inject: [{{placeholder: access, in: [header]}}]
  - host: other.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
"""

JSON = "content-type: application/json\r\n"
FORM = "content-type: application/x-www-form-urlencoded\r\n"


class World:
    """A gateway, and the server behind it."""

    def __init__(self, start: Callable[..., Serve], upstream: Callable[..., Upstream], **options: Any) -> None:
        self.tokens = TokenServer(**options)
        self.server = upstream("login.test", "api.test", "other.test", handler=self.tokens)
        self._start = start
        self._home: Path | None = None

    def policy(self, capture: str = CAPTURE, agents: str = "") -> str:
        return POLICY.format(port=self.server.port, capture=capture, agents=agents)

    def begin(
        self, capture: str = CAPTURE, *arguments: str, agents: str = "", key: bool = True, **options: Any
    ) -> Serve:
        gateway = self._start(self.policy(capture, agents), *arguments, **options)
        if key:
            assert gateway.run("secret", "init", "--key-file").returncode == 0
        return gateway


@pytest.fixture
def world(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> Callable[..., World]:
    return lambda **options: World(serve, upstream, **options)


def log_in(gateway: Serve, sent: dict[str, str] | None = None) -> Answer:
    body = json.dumps(sent or {"grant_type": "authorization_code", "code": "c"}).encode()
    return gateway.get("login.test", "/token", JSON, method="POST", body=body)


def refresh(gateway: Serve, stand_in: str) -> Answer:
    return log_in(gateway, {"grant_type": "refresh_token", "refresh_token": stand_in})


def spelled(value: str) -> list[bytes]:
    raw = value.encode()
    cut = [base64.b64encode(b"x" * before + raw)[4:-4] for before in range(3)]
    return [raw, raw.hex().encode(), quote(value, safe="").encode(), *cut]


def assert_nowhere(gateway: Serve, tokens: TokenServer) -> None:
    """No token that was issued stands anywhere below the state directory."""
    for file in gateway.state.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        for token in tokens.issued:
            assert not any(form in content for form in spelled(token)), file


def test_a_log_in_brings_stand_ins_that_work(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin()
    answer = log_in(gateway)
    given = json.loads(answer.body)
    assert (answer.status, given["expires_in"]) == (200, 28800)
    access, again = given["access_token"], given["refresh_token"]
    assert len(access) == len(here.tokens.access)
    assert access.startswith("sk-ant-oat01-")
    assert not any(token.encode() in answer.raw for token in here.tokens.issued)
    assert gateway.get("api.test", "/api/me", f"authorization: Bearer {access}\r\n").status == 200
    assert gateway.get("api.test", "/api/me", "authorization: Bearer wrong\r\n").status == 401

    answer = refresh(gateway, again)
    assert answer.status == 200
    assert json.loads(answer.body)["access_token"] == access, "of the same shape, so that every client goes on"
    assert here.tokens.asked[-1]["refresh_token"] == here.tokens.issued[1]
    assert gateway.get("api.test", "/api/me", f"authorization: Bearer {access}\r\n").status == 200
    assert not here.tokens.replayed
    assert_nowhere(gateway, here.tokens)


def test_without_capture_the_client_gets_the_real_token(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin("query: {}")
    assert json.loads(log_in(gateway).body)["access_token"] == here.tokens.access


def test_what_was_captured_survives_a_restart(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin()
    given = log_in(gateway).json()
    gateway.stop()
    again = here.begin(key=False, env={"OUTWARD_HOME": str(gateway.state)})
    assert again.get("api.test", "/api/me", f"authorization: Bearer {given['access_token']}\r\n").status == 200
    assert refresh(again, given["refresh_token"]).status == 200


def test_nobody_refreshes_with_a_token_that_was_used(world: Callable[..., World]) -> None:
    here = world(pause=0.1)
    one = here.begin()
    two = here.begin(key=False, env={"OUTWARD_HOME": str(one.state), "HOME": str(one.directory)})
    stand_in = log_in(one).json()["refresh_token"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda gateway: refresh(gateway, stand_in).status, [one, two] * 3))
    assert answers == [200] * 6
    assert not here.tokens.replayed


AGENTS = "  one-key: {env: ONE}\n  two-key: {env: TWO}\nagents: {one: {secret: one-key}, two: {secret: two-key}}"


def as_agent(gateway: Serve, name: str, host: str, path: str, fields: str, body: bytes = b"") -> Answer:
    login = base64.b64encode(f"{name}:{name}-token".encode()).decode()
    with gateway.tunnel(host, headers=f"proxy-authorization: Basic {login}\r\n") as client:
        return client.request("POST" if body else "GET", path, host, fields, body)


def test_it_belongs_to_the_agent_who_logged_in(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin(agents=AGENTS, env={"ONE": "one-token", "TWO": "two-token"})
    body = b'{"grant_type": "authorization_code"}'
    given = as_agent(gateway, "one", "login.test", "/token", JSON, body).json()
    bearer = f"authorization: Bearer {given['access_token']}\r\n"
    assert as_agent(gateway, "one", "api.test", "/api/me", bearer).status == 200
    refused = as_agent(gateway, "two", "api.test", "/api/me", bearer)
    assert (refused.status, refused.code) == (403, "placeholder_leak")
    stolen = json.dumps({"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}).encode()
    assert as_agent(gateway, "two", "login.test", "/token", JSON, stolen).status != 200
    listed = json.loads(gateway.run("secret", "list", "--json", "--policy", str(gateway.policy)).stdout)
    names = {row["local_name"] for row in listed if row["source"] == "captured"}
    assert names == {"captured/one/access", "captured/one/refresh"}


def test_it_can_be_revoked_here(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin()
    access = log_in(gateway).json()["access_token"]
    listed = json.loads(gateway.run("secret", "list", "--json", "--policy", str(gateway.policy)).stdout)
    (entry,) = [row["local_name"] for row in listed if row["name"] == "access"]
    assert gateway.run("secret", "rm", "--yes", entry).returncode == 0
    assert gateway.get("api.test", "/api/me", f"authorization: Bearer {access}\r\n").status == 401
    assert gateway.get("other.test", "/x", f"x-note: {access}\r\n").code == "placeholder_leak"


def test_a_stand_in_goes_nowhere_else(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin()
    given = log_in(gateway).json()
    for host, path in (("other.test", "/x"), ("login.test", "/token")):
        refused = gateway.get(host, path, f"authorization: Bearer {given['access_token']}\r\n", method="POST")
        assert (refused.status, refused.code) == (403, "placeholder_leak")
    (leaks,) = [row["leaks"] for row in json.loads(gateway.run("secret", "list", "--json").stdout) if row["leaks"]]
    assert len(leaks) == 2


def test_stand_ins_are_known_to_a_gateway_whose_policy_comes_to_capture(
    world: Callable[..., World], serve: Callable[..., Serve]
) -> None:
    here = world()
    gateway = here.begin()
    note = f"x-note: {log_in(gateway).json()['access_token']}\r\n"
    gateway.stop()
    policy = gateway.policy.read_text().removeprefix("version: 1\n")
    plain = f"destinations:\n  - host: other.test{policy.rpartition('- host: other.test')[2]}"
    again = serve(plain, env={"OUTWARD_HOME": str(gateway.state)})
    assert again.get("other.test", "/api", note).status == 401, (
        "it is nothing to that policy, and nothing to the server"
    )
    again.reload(policy)
    assert again.get("other.test", "/api", note).code == "placeholder_leak"


def test_where_it_cannot_be_kept_nothing_goes_on(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin(key=False)  # nothing opens a store
    answer = log_in(gateway)
    assert (answer.status, answer.code) == (503, "secret_unavailable")
    assert here.tokens.issued, "the server was asked"
    assert not any(token.encode() in answer.raw for token in here.tokens.issued)


def test_a_form_as_githubs(world: Callable[..., World]) -> None:
    here = world(form=True)
    gateway = here.begin()
    body = urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "d"}).encode()
    answer = gateway.get("login.test", "/token", FORM, method="POST", body=body)
    given = dict(parse_qsl(answer.body.decode()))
    assert (given["expires_in"], given["refresh_token"] in here.tokens.issued) == ("28800", False)
    again = urlencode({"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}).encode()
    assert gateway.get("login.test", "/token", FORM, method="POST", body=again).status == 200


def test_a_client_reads_the_claims_of_a_token_and_cannot_use_it(world: Callable[..., World]) -> None:
    here = world(signed=True)
    gateway = here.begin()
    first = log_in(gateway).json()
    assert first["access_token"].rpartition(".")[0] == here.tokens.access.rpartition(".")[0]
    assert first["access_token"] != here.tokens.access
    second = refresh(gateway, first["refresh_token"]).json()
    assert second["access_token"].rpartition(".")[0] == here.tokens.access.rpartition(".")[0]
    for given in (first, second):  # another session of the agent may still have the one from before
        assert gateway.get("api.test", "/api/me", f"authorization: Bearer {given['access_token']}\r\n").status == 200


def test_a_client_of_http2_gets_the_same(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin()
    with http2(gateway, "login.test") as client:
        sent = json.dumps({"grant_type": "authorization_code"}).encode()
        answer = client.request("POST", "/token", ("content-type", "application/json"), body=sent)
    assert answer.status == 200
    assert json.loads(answer.body)["access_token"] not in here.tokens.issued


def test_an_error_passes_scrubbed(world: Callable[..., World]) -> None:
    here = world()
    gateway = here.begin()
    stand_in = log_in(gateway).json()["refresh_token"]
    here.tokens.refresh = "another"  # so the server does not know it any more, and says what it got
    answer = refresh(gateway, stand_in)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["error_description"] == f"what is {stand_in}?"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"body": b"not JSON"}, 502),
        ({"body": b"[]"}, 502),
        ({"body": b'{"access_token": 1}'}, 502),
        ({"body": b'{"access_token": "a b"}'}, 502),
        ({"body": b'{"data": {"access_token": "sk-REAL-0123456789"}}'}, 502),
        ({"more": {"id_token": jwt(1)}}, 502),
        ({"body": b"access_token=sk-REAL-0123456789", "kind": "text/plain"}, 502),
        ({"body": b"{}", "headers": "content-encoding: gzip\r\n"}, 502),
        ({"body": b" " * 1_100_000}, 502),
        ({"body": b"<h1>busy</h1>", "kind": "text/html", "status": 500}, 500),
        ({"body": b""}, 200),
    ],
)
def test_what_cannot_be_read_does_not_go_on(world: Callable[..., World], change: dict[str, Any], status: int) -> None:
    here = world(**change)
    answer = log_in(here.begin())
    assert answer.status == status
    assert b"REAL" not in answer.raw


def test_a_token_that_stands_twice_is_replaced_in_both_places(world: Callable[..., World]) -> None:
    here = world(
        body=b'{"access_token": "sk-REAL-0123456789abcdef", "access_token": ""}', headers="x-copy: sk-REAL-0\r\n"
    )
    assert log_in(here.begin()).json() == {"access_token": ""}
    here.tokens.body = b'{"access_token": "sk-REAL-0123456789abcdef", "note": "it is sk-REAL-0123456789abcdef"}'
    here.tokens.headers = "x-copy: sk-REAL-0123456789abcdef\r\n"
    answer = log_in(here.begin())
    stand_in = answer.json()["access_token"]
    assert answer.json()["note"] == f"it is {stand_in}"
    assert answer.header("x-copy") == stand_in


@pytest.mark.parametrize("compressed", [False, True])
def test_a_client_that_goes_meanwhile_loses_no_log_in(world: Callable[..., World], compressed: bool) -> None:
    here = world(compressed=compressed)
    gateway = here.begin()
    given = log_in(gateway).json()
    here.tokens.pause = 0.3
    body = json.dumps({"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}).encode()
    with gateway.tunnel("login.test") as client:
        head = b"POST /token HTTP/1.1\r\nHost: login.test\r\nContent-Type: application/json\r\n"
        client.send(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        while len(here.tokens.asked) < 2:
            time.sleep(0.01)
    # The server has not answered yet, and takes the old one no more.
    assert refresh(gateway, given["refresh_token"]).status == 200
    assert not here.tokens.replayed
    bearer = f"authorization: Bearer {given['access_token']}\r\n"
    assert gateway.get("api.test", "/api/me", bearer).status == 200
    ends = [record for record in gateway.journal() if record["phase"] == "end" and record["host"] == "login.test"]
    assert [end.get("error") for end in ends] == [None, "the client closed the connection", None]
