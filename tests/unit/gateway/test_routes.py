"""Routes: one destination for each request, or none."""

from __future__ import annotations

import pytest

from outward.core import ClientError, HostMismatch
from outward.gateway.http1 import RequestHead, parse_request
from outward.gateway.routes import CapturedRoute, HiddenRoute, ProxyRoute, ReverseRoute, TunnelRoute


def head(target: str, host: str | None = "api.test", minor: int = 1) -> RequestHead:
    line = f"Host: {host}\r\n" if host is not None else ""
    return parse_request(f"GET {target} HTTP/1.{minor}\r\n{line}\r\n".encode())


TUNNEL = TunnelRoute("https", "api.test", 443, "api.test")


@pytest.mark.parametrize("host", ["api.test", "API.test", "api.test.", "api.test:443"])
def test_inside_a_tunnel(host: str) -> None:
    assert TUNNEL.resolve(head("/a?b=c", host)) == ("https", "api.test", 443, "/a", "b=c")


def test_http10_needs_no_host() -> None:
    assert TUNNEL.resolve(head("/a", None, minor=0))[1] == "api.test"


@pytest.mark.parametrize("host", ["evil.test", "api.test:80", "sub.api.test", "api.test:8443"])
def test_another_host_is_misdirected(host: str) -> None:
    with pytest.raises(HostMismatch):
        TUNNEL.resolve(head("/a", host))


def test_another_name_in_tls_is_misdirected() -> None:
    with pytest.raises(HostMismatch):
        TunnelRoute("https", "api.test", 443, "evil.test").resolve(head("/a"))


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("https://api.test/a", "api.test"),
        ("*", "api.test"),
        ("a", "api.test"),
        ("/a", "api.test:x"),
        ("/a", "a b"),
        ("/a", ""),
    ],
)
def test_odd_targets_and_hosts_are_malformed(target: str, host: str) -> None:
    with pytest.raises(ClientError):
        TUNNEL.resolve(head(target, host))


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        ("http://api.test/a?b", "api.test", ("http", "api.test", 80, "/a", "b")),
        ("http://api.test", "api.test", ("http", "api.test", 80, "/", "")),
        ("http://api.test?q", "api.test", ("http", "api.test", 80, "/", "q")),
        ("HTTP://API.test:8080/", "api.test:8080", ("http", "api.test", 8080, "/", "")),
        ("http://[::1]:8080/x", "[::1]:8080", ("http", "::1", 8080, "/x", "")),
        ("http://api.test/a?u=http://x/?y", "api.test", ("http", "api.test", 80, "/a", "u=http://x/?y")),
    ],
)
def test_a_proxy_takes_absolute_targets(target: str, host: str, expected: tuple[str, str, int, str, str]) -> None:
    assert ProxyRoute().resolve(head(target, host)) == expected


@pytest.mark.parametrize(
    ("target", "host", "error"),
    [
        ("http://api.test/", "evil.test", HostMismatch),
        ("http://evil.test/", "api.test", HostMismatch),
        ("http://user@api.test/", "api.test", ClientError),
        ("http:///a", "api.test", ClientError),
        ("https://api.test/", "api.test", ClientError),
        ("ftp://api.test/", "api.test", ClientError),
        ("/a", "api.test", ClientError),
        ("http://api.test\\@evil.test/", "api.test", ClientError),
    ],
)
def test_what_a_proxy_does_not_take(target: str, host: str, error: type[ClientError]) -> None:
    with pytest.raises(error):
        ProxyRoute().resolve(head(target, host))


REVERSE = ReverseRoute("https", "api.test", 443, "/base/")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:81", "localhost", "gateway:8080", "[::1]:80", "api.test", "host.docker.internal"]
)
def test_reverse_stands_for_its_server(host: str) -> None:
    assert REVERSE.resolve(head("/a?b", host)) == ("https", "api.test", 443, "/base/a", "b")


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_reverse_is_safe_from_rebinding(host: str) -> None:
    with pytest.raises(HostMismatch):
        REVERSE.resolve(head("/a", host))


CAPTURED = CapturedRoute("192.0.2.1", 80)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("api.test", "api.test"), ("API.test.:80", "api.test"), ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:80", "192.0.2.1")],
)
def test_a_captured_request_goes_to_its_host(host: str, expected: str) -> None:
    assert CAPTURED.resolve(head("/a?b", host)) == ("http", expected, 80, "/a", "b")


def test_a_captured_request_without_host_goes_to_its_address() -> None:
    assert CAPTURED.resolve(head("/a", None, minor=0)) == ("http", "192.0.2.1", 80, "/a", "")


def test_a_captured_request_to_another_port() -> None:
    route = CapturedRoute("2001:db8::1", 8080)
    assert route.resolve(head("/", "api.test:8080"))[2] == 8080
    assert route.resolve(head("/", "[2001:DB8::1]:8080"))[1] == "2001:db8::1"
    for host in ("api.test", "api.test:80", "[2001:db8::1]", "[2001:db8::2]:8080"):
        with pytest.raises(HostMismatch):
            route.resolve(head("/", host))


@pytest.mark.parametrize("host", ["192.0.2.2", "[::1]", "api.test:443"])
def test_a_captured_request_to_somewhere_else_is_misdirected(host: str) -> None:
    with pytest.raises(HostMismatch):
        CAPTURED.resolve(head("/a", host))


@pytest.mark.parametrize("target", ["http://api.test/a", "*", "a"])
def test_a_captured_request_is_no_request_to_a_proxy(target: str) -> None:
    with pytest.raises(ClientError):
        CAPTURED.resolve(head(target))


def test_behind_a_hidden_name_there_is_nothing() -> None:
    with pytest.raises(HostMismatch, match="why"):
        HiddenRoute("api.test", 443, "why").resolve(head("/a"))
