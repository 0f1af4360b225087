"""The gateway between a client of HTTP/1.1 and real servers of HTTP/2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.http2_server import Http2Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

    from tests.support.serve import Serve

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


@pytest.fixture
def http2(server_ca: trustme.CA) -> Iterator[Callable[..., Http2Server]]:
    started: list[Http2Server] = []

    def start(**options: object) -> Http2Server:
        server = Http2Server(server_ca, "api.test", **options)  # type: ignore[arg-type]
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


def test_a_client_of_http1_reaches_a_server_that_speaks_only_http2(gateway: Serve, api: Http2Server) -> None:
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
