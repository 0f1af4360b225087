"""OAuth 1.0a through the real gateway, to a server that checks signatures as RFC 5849 says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.oauth1 import parameters_of, signature
from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tests.support.serve import Serve

POLICY = """
secrets:
  app: {{env: APP}}
  app-secret: {{env: APP_SECRET}}
destinations:
  - host: jira.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{inject}]
"""
OURS = {"APP": "consumer-0123456789", "APP_SECRET": "synthetic&secret+of/the=app"}
FORM = "{oauth1: {consumer_key: app, consumer_secret: app-secret, method: HMAC-SHA256}}"


async def checking(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (seen := await read_request(reader)) is not None:
        server.seen.append(seen)
        path, _, query = seen.target.partition("?")
        status = 401
        if seen.all("authorization"):
            said = parameters_of(seen["authorization"])
            form = seen.body.decode() if "form" in "".join(seen.all("content-type")) else ""
            base = f"https://jira.test{path}"
            good = signature(seen.method, base, query, form, said, OURS["APP_SECRET"], "")
            if said["oauth_consumer_key"] == OURS["APP"] and said["oauth_signature"] == good:
                status = 200
        writer.write(answer(status))
        await writer.drain()


@pytest.fixture
def start(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> Callable[..., tuple[Serve, Upstream]]:
    def begin(inject: str = FORM, **environment: str) -> tuple[Serve, Upstream]:
        server = upstream("jira.test", handler=checking)
        return serve(POLICY.format(port=server.port, inject=inject), env=OURS | environment), server

    return begin


MINE = 'authorization: OAuth oauth_consumer_key="mine", oauth_signature_method="HMAC-SHA1", oauth_signature="x"\r\n'
KIND = "content-type: application/x-www-form-urlencoded\r\n"


def test_the_server_takes_what_is_signed(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start()
    with gateway.tunnel("jira.test") as client:
        for method, target, fields, body in (
            ("GET", "/rest/api/2/issue/X-1?expand=a,b&x=%20y", "", b""),
            ("GET", "/rest/%E2%82%AC/a%2Fb", MINE, b""),
            ("POST", "/rest/api/2/issue?a=b&oauth_token=mine", MINE + KIND, b"summary=hello+world&x=%26"),
            ("POST", "/rest/api/2/issue", "content-type: application/json\r\n", b'{"summary": "x"}'),
        ):
            assert client.request(method, target, "jira.test", fields, body).status == 200
    assert "mine" not in str([(seen.target, seen.headers) for seen in server.seen])
    assert OURS["APP_SECRET"] not in str(gateway.journal())


def test_with_another_secret_or_without_the_form_it_does_not(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    wrong, _ = start(APP_SECRET="synthetic-wrong-secret")
    assert wrong.get("jira.test", "/").status == 401
    bare, _ = start("{header: x-app, secret: app}")
    assert bare.get("jira.test", "/").status == 401


def test_credentials_in_the_body_are_refused(start: Callable[..., tuple[Serve, Upstream]]) -> None:
    gateway, server = start()
    answer = gateway.get("jira.test", "/", KIND, method="POST", body=b"oauth_token=mine&a=b")
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert server.seen == []
