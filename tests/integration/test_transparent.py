"""``serve --transparent`` where nothing is redirected; what happens where it is, is in ``tests/system``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.hello import client_hello, server_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

POLICY = """
destinations:
  - {{host: plain.test, scheme: http, port: {port}, connect_to: 127.0.0.1:{port}, allow: [GET /**]}}
  - {{host: 127.0.0.1, scheme: http, port: {port}, connect_to: 127.0.0.1:{port}, allow: [GET /**]}}
"""


@pytest.fixture
def server(upstream: Callable[..., Upstream]) -> Upstream:
    return upstream(tls=False)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", pytest.param("[::1]:0", marks=pytest.mark.needs("ipv6"))])
@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_who_comes_uncalled_is_told_so(serve: Callable[..., Serve], server: Upstream, listen: str, method: str) -> None:
    gateway = serve(POLICY.format(port=server.port), "--transparent", listen)
    own = gateway.address.rpartition(":")
    address = (own[0].strip("[]"), int(own[2]))
    with gateway.dial() as client:
        target = "/" if method == "GET" else "plain.test:80"
        client.send(f"{method} {target} HTTP/1.1\r\nHost: plain.test\r\n\r\n".encode())
        refused = client.read_answer()
        assert (refused.status, refused.code) == (403, "address_not_allowed")
        assert client.closed()
    (record,) = gateway.journal()
    assert (record["kind"], record["host"], record["port"]) == ("connect", *address)
    assert server.connections == 0


def test_who_comes_uncalled_with_tls_is_told_so(serve: Callable[..., Serve], server: Upstream) -> None:
    gateway = serve(POLICY.format(port=server.port), "--transparent", "127.0.0.1:0")
    with gateway.dial() as client:
        client.send(client_hello(server_name(b"plain.test")))
        assert client.receive()
        assert client.buffer == bytes((21, 3, 3, 0, 2, 2, 49)), "access_denied"


def test_listeners_are_named_in_order(serve: Callable[..., Serve], server: Upstream) -> None:
    kinds = ("--transparent", "--socks", "--listen")
    gateway = serve(POLICY.format(port=server.port), *(word for kind in kinds for word in (kind, "127.0.0.1:0")))
    proxy, socks, transparent = range(3)
    with gateway.dial(proxy) as client:
        assert client.request("GET", f"http://plain.test:{server.port}/", f"plain.test:{server.port}").status == 200
    with gateway.dial(socks) as client:
        client.send(b"\x05\x01\x00")
        assert client.receive()
        assert client.buffer == b"\x05\x00"
    with gateway.dial(transparent) as client:
        assert client.request("GET", "/", "plain.test").code == "address_not_allowed"
    assert f":{gateway.ready['listen'][proxy].rpartition(':')[2]}" in gateway.run("env").stdout


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("unix:/tmp/never.sock", "nothing can be redirected"),
        ("0.0.0.0:0", "reached from outside"),
        ("127.0.0.1", "not an address"),
    ],
)
def test_addresses_that_make_no_sense(serve: Callable[..., Serve], address: str, cause: str) -> None:
    with pytest.raises(AssertionError, match=cause):
        serve("destinations: []", "--transparent", address)


def test_env_needs_an_explicit_proxy(serve: Callable[..., Serve]) -> None:
    gateway = serve("destinations: []", "--socks", "127.0.0.1:0", "--transparent", "127.0.0.1:0")
    done = gateway.run("env")
    assert done.returncode != 0
    assert "no explicit proxy" in done.stderr
