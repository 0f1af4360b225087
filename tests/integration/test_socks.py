"""SOCKS5 between raw octets, or curl, and a real TLS server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from outward.gateway import SocksFront, listeners
from tests.integration.test_gateway import KEY, POLICY, _until
from tests.support.hello import ECH, GREASE_ECH, client_hello, extension, server_name
from tests.support.socks import (
    NO_LOGIN,
    address_request,
    login_message,
    name_request,
    open_to,
    receive,
    reply_code,
)
from tests.support.upstream import Seen, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outward.gateway import Gateway
    from tests.support.serve import Serve

SOCKS = ("--socks", "127.0.0.1:0")
LIMIT = 60


@pytest.fixture
def api(upstream: Callable[..., Upstream]) -> Upstream:
    return upstream("api.test", "192.0.2.7", "2001:db8::7")


@pytest.fixture
def gateway(serve: Callable[..., Serve], api: Upstream) -> Serve:
    return serve(POLICY.format(port=api.port), *SOCKS, env={"KEY": KEY})


def test_a_named_host_goes_the_way_of_connect(gateway: Serve, api: Upstream) -> None:
    with gateway.dial() as client:
        assert open_to(client, name_request(b"API.test.")) == 0
        client.start_tls(gateway.ca, "api.test")
        assert client.request("GET", "/v1/models", "api.test", "x-api-key: mine\r\n").status == 200
        assert client.request("GET", "/v1/admin/x", "api.test").code == "denied_by_rule"
        assert client.request("GET", "/v1/models", "evil.test").code == "host_mismatch"
    (seen,) = api.seen
    assert seen["x-api-key"] == KEY
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 0
        client.start_tls(gateway.ca, "evil.test")
        assert client.request("GET", "/v1/models", "evil.test").status == 421, "SNI is another host"


@pytest.mark.parametrize(
    ("request_", "code", "host"),
    [
        (name_request(b"evil.test"), "host_not_allowed", "evil.test"),
        (name_request(b"api.test.evil.test"), "host_not_allowed", "api.test.evil.test"),
        (name_request(b"api.test", 8443), "port_not_allowed", "api.test"),
        (address_request("192.0.2.7"), "host_not_allowed", "192.0.2.7"),
        (address_request("::1"), "host_not_allowed", "::1"),
        (address_request("::ffff:127.0.0.1"), "host_not_allowed", None),
    ],
)
def test_what_the_policy_does_not_name_is_not_allowed(
    gateway: Serve, request_: bytes, code: str, host: str | None
) -> None:
    with gateway.dial() as client:
        assert open_to(client, request_) == 2
        assert client.closed()
    (record,) = gateway.journal()
    assert (record["kind"], record["method"], record["verdict"]) == ("connect", "CONNECT", "deny")
    assert (record["code"], record["agent"]) == (code, "default")
    assert host in {record["host"], None}


@pytest.mark.parametrize(
    "name", [b"evil\0.api.test", b"api.test\0.evil.test", b"b\xc3\xbccher.test", b"", b"127.1", b"a b", b"api.test:443"]
)
def test_odd_names_are_refused(gateway: Serve, api: Upstream, name: bytes) -> None:
    with gateway.dial() as client:
        assert open_to(client, name_request(name)) == 1
        assert client.closed()
    assert [record["code"] for record in gateway.journal()] == ["malformed_request"]
    assert api.connections == 0


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (name_request(b"api.test", command=2), 7),
        (b"\x05\x03\x00\x01" + bytes(6), 7),  # UDP ASSOCIATE from anywhere
        (name_request(b"api.test", command=0xF0), 7),  # Tor's RESOLVE
        (b"\x05\x01\x00\x02" + bytes(6), 8),
        (name_request(b"api.test", 0), 1),
        (b"\x05\x01\x07" + name_request(b"api.test")[3:], 1),
        (b"\x04" + name_request(b"api.test")[1:], 1),
    ],
)
def test_what_is_asked_for_wrongly(gateway: Serve, request_: bytes, reply: int) -> None:
    with gateway.dial() as client:
        assert open_to(client, request_) == reply
        assert client.closed()
    assert [record["code"] for record in gateway.journal()] == ["malformed_request"]


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x04\x01\x00\x50\x00\x00\x00\x01a\x00api.test\x00",  # SOCKS4a
        b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n",
        b"\x05\x00",
        b"\x05\x02\x01\x80",  # GSSAPI and a private method
        b"\x05\x01\x02" + login_message("ci", "anything") + name_request(b"api.test"),  # nobody logs in here
    ],
)
def test_no_method_that_we_speak(gateway: Serve, api: Upstream, greeting: bytes) -> None:
    with gateway.dial() as client:
        client.send(greeting)
        assert receive(client, 2) == b"\x05\xff"
        assert client.closed()
    (record,) = gateway.journal()
    assert record["verdict"] == "deny"
    assert api.connections == 0


def test_pipelined_and_dribbled(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    server = upstream(tls=False)
    gateway = serve(
        f"destinations: [{{host: plain.test, scheme: http, connect_to: 127.0.0.1:{server.port}, allow: [GET /a]}}]",
        *SOCKS,
    )
    everything = NO_LOGIN + name_request(b"plain.test", 80) + b"GET /a HTTP/1.1\r\nHost: plain.test\r\n\r\n"
    for size in (len(everything), 1):
        with gateway.dial() as client:
            for start in range(0, len(everything), size):
                client.send(everything[start : start + size])
                time.sleep(0.002 if size == 1 else 0)
            assert receive(client, 2) == b"\x05\x00"
            assert reply_code(client) == 0
            assert client.read_answer().status == 200
    assert [seen.target for seen in server.seen] == ["/a", "/a"]
    with gateway.dial() as client:
        client.send(everything.replace(b"GET /a", b"GET /b"))
        assert reply_code_after_greeting(client) == 0
        assert client.read_answer().code == "path_not_allowed"


def reply_code_after_greeting(client) -> int:
    assert receive(client, 2) == b"\x05\x00"
    return reply_code(client)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_addresses_that_are_spelt_out(serve: Callable[..., Serve], api: Upstream, address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    policy = f"destinations: [{{host: '{address}', connect_to: 127.0.0.1:{api.port}, ca: CA, allow: [GET /a]}}]"
    gateway = serve(policy, *SOCKS)
    with gateway.dial() as client:
        assert open_to(client, address_request(address)) == 0
        client.start_tls(gateway.ca, address)
        assert client.request("GET", "/a", literal).status == 200
        assert client.request("GET", "/b", literal).code == "path_not_allowed"


def test_unix_sockets(serve: Callable[..., Serve], api: Upstream, tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/s.sock"
    gateway = serve(POLICY.format(port=api.port), "--listen", "127.0.0.1:0", "--socks", where, env={"KEY": KEY})
    assert gateway.ready["listen"][1] == where, "after --listen, in order"
    with gateway.dial(1) as client:
        assert open_to(client, name_request(b"api.test")) == 0
    with gateway.dial(1) as client:
        assert open_to(client, name_request(b"evil.test")) == 2


def test_a_listener_that_others_can_reach_needs_authentication(serve: Callable[..., Serve]) -> None:
    with pytest.raises(AssertionError, match="reached from outside"):
        serve("destinations: []", "--socks", "0.0.0.0:0")


@pytest.mark.parametrize("greeting", [b"", b"\x05", NO_LOGIN, NO_LOGIN + name_request(b"api.test")[:-1]])
def test_a_greeting_that_does_not_come_to_an_end_is_cut_off(greeting: bytes) -> None:
    async def talk() -> bytes:
        gateway = SimpleNamespace(load=0)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            listener = listeners.Listener(cast("Gateway", gateway), sock, SocksFront("default"))
            listener.greeting_time = 0.2
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(greeting)
            said = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            listener.close()
            await listener.wait_closed()
        return said

    assert asyncio.run(talk()) == (b"\x05\x00" if greeting.startswith(NO_LOGIN) else b"")


# -- who it is


AGENTS = """
secrets:
  ci-token: {{env: TOKEN}}
agents:
  ci: {{secret: ci-token}}
destinations:
  - {{host: api.test, connect_to: 127.0.0.1:{port}, ca: CA, allow: [GET /**], agents: [ci]}}
"""
TOKEN = "tok-12345678"


@pytest.fixture
def closed(serve: Callable[..., Serve], api: Upstream) -> Serve:
    """A gateway whose clients must say who they are."""
    return serve(AGENTS.format(port=api.port), *SOCKS, env={"TOKEN": TOKEN})


@pytest.mark.parametrize("methods", [b"\x05\x01\x02", b"\x05\x02\x00\x02", b"\x05\x03\x02\x00\x01"])
def test_name_and_token_say_who_it_is(closed: Serve, api: Upstream, methods: bytes) -> None:
    with closed.dial() as client:
        client.send(methods + login_message("ci", TOKEN) + name_request(b"api.test"))
        assert receive(client, 4) == b"\x05\x02\x01\x00", "the log-in is never skipped"
        assert reply_code(client) == 0
        client.start_tls(closed.ca, "api.test")
        assert client.request("GET", "/x", "api.test").status == 200
    _until(lambda: bool(closed.journal()))
    assert closed.journal()[-1]["agent"] == "ci"


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("ci", "wrong"),
        ("ci", ""),
        ("", ""),
        ("nobody", TOKEN),
        ("ci", TOKEN + "x"),
        ("ci", TOKEN[:-1]),
        ("default", ""),
    ],
)
def test_a_wrong_login_is_hung_up_on(closed: Serve, api: Upstream, name: str, token: str) -> None:
    with closed.dial() as client:
        client.send(b"\x05\x02\x00\x02" + login_message(name, token) + name_request(b"api.test"))
        assert receive(client, 4) == b"\x05\x02\x01\x01"
        assert client.closed()
    (record,) = closed.journal()
    assert (record["code"], record["verdict"]) == ("proxy_authentication_required", "deny")
    assert TOKEN not in str(record)
    assert api.connections == 0


@pytest.mark.parametrize("rest", [b"", name_request(b"api.test"), login_message("ci", TOKEN)])
def test_without_a_login_there_is_no_falling_back(closed: Serve, rest: bytes) -> None:
    with closed.dial() as client:
        client.send(NO_LOGIN + rest)
        assert receive(client, 2) == b"\x05\xff"
        assert client.closed()
    assert [record["code"] for record in closed.journal()] == ["proxy_authentication_required"]


def test_a_token_that_cannot_be_had_lets_nobody_in(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(AGENTS.format(port=api.port), *SOCKS)
    with gateway.dial() as client:
        client.send(b"\x05\x01\x02" + login_message("ci", "") + name_request(b"api.test"))
        assert receive(client, 4) == b"\x05\x02\x01\x01"
        assert client.closed()


# -- passthrough


PASSED = "destinations: [{{host: api.test, connect_to: 127.0.0.1:{port}, tls: passthrough, allow: connect}}]"


def test_passthrough_checks_host_and_sni(serve: Callable[..., Serve], api: Upstream, ca_file: Path) -> None:
    gateway = serve(PASSED.format(port=api.port), *SOCKS)
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 0
        client.start_tls(str(ca_file), "api.test")  # the server's own certificate, not ours
        assert client.request("GET", "/any", "api.test").status == 200
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 0
        with pytest.raises(OSError, match=r"EOF|reset|closed"):
            client.start_tls(str(ca_file), "evil.test")
    assert len(api.seen) == 1


def test_passthrough_takes_no_name_that_may_hide_another(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    """A server with the key to the encrypted hello would answer for the host inside it, which nobody has decided about."""

    async def swallow(server: Upstream, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            server.seen.append(Seen(body=data))

    server = upstream(tls=False, handler=swallow)
    gateway = serve(PASSED.format(port=server.port), *SOCKS)
    name = server_name(b"api.test")
    for hello in (client_hello(name, extension(ECH, GREASE_ECH)), client_hello(name, extension(ECH, b""))):
        with gateway.dial() as client:
            assert open_to(client, name_request(b"api.test")) == 0
            client.send(hello)
            assert client.closed()
        assert gateway.journal()[-1]["code"] == "host_mismatch"
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 0
        client.send(client_hello(name))
        _until(lambda: bool(server.seen))
    assert [seen.body for seen in server.seen] == [client_hello(name)]


def test_who_goes_away_before_the_hello_is_not_refused(serve: Callable[..., Serve], api: Upstream) -> None:
    gateway = serve(PASSED.format(port=api.port), *SOCKS)
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 0
    _until(lambda: gateway.journal()[-1]["phase"] == "end")
    assert (gateway.journal()[-1]["verdict"], gateway.journal()[-1]["error"]) == ("allow", "the client has gone")


def test_a_passthrough_that_cannot_be_reached_says_so(serve: Callable[..., Serve]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    gateway = serve(PASSED.format(port=port), *SOCKS)
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 4
        assert client.closed()
    assert gateway.journal()[-1]["code"] == "upstream_unreachable"


def test_a_passthrough_to_an_inner_address_is_not_allowed(serve: Callable[..., Serve]) -> None:
    gateway = serve("destinations: [{host: 10.0.0.1, tls: passthrough, allow: connect}]", *SOCKS)
    with gateway.dial() as client:
        assert open_to(client, address_request("10.0.0.1")) == 2
    assert gateway.journal()[-1]["code"] == "address_not_allowed"


# -- a real client


def curl(gateway: Serve, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", gateway.ca, *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        timeout=LIMIT,
    )


@pytest.mark.needs("curl")
def test_curl_names_the_host(gateway: Serve, api: Upstream) -> None:
    done = curl(gateway, "--socks5-hostname", gateway.address, "https://api.test/v1/models")
    assert done.returncode == 0, done.stderr
    assert api.seen[0]["x-api-key"] == KEY
    refused = curl(gateway, "--socks5-hostname", gateway.address, "https://evil.test/v1/models")
    assert refused.returncode == 97, refused.stderr
    assert "(2)" in refused.stderr, "not allowed by the ruleset"
    assert len(api.seen) == 1


@pytest.mark.needs("curl")
def test_curl_that_resolves_itself_asks_for_an_address(gateway: Serve, api: Upstream) -> None:
    """The policy is about names: who wants to be judged by one has to say it (``socks5h``)."""
    resolved = ("--resolve", "api.test:443:192.0.2.7")
    done = curl(gateway, *resolved, "--socks5", gateway.address, "https://api.test/v1/models")
    assert done.returncode == 97, done.stderr
    assert gateway.journal()[-1]["host"] == "192.0.2.7"
    assert api.connections == 0


@pytest.mark.needs("curl")
def test_curl_with_an_address_of_the_policy(serve: Callable[..., Serve], api: Upstream) -> None:
    policy = f"destinations: [{{host: 192.0.2.7, connect_to: 127.0.0.1:{api.port}, ca: CA, allow: [GET /a]}}]"
    gateway = serve(policy, *SOCKS)
    done = curl(gateway, "--socks5", gateway.address, "https://192.0.2.7/a")
    assert done.returncode == 0, done.stderr
    assert "path_not_allowed" in curl(gateway, "--socks5", gateway.address, "https://192.0.2.7/b").stdout


@pytest.mark.needs("curl")
def test_curl_logs_in(closed: Serve, api: Upstream) -> None:
    done = curl(closed, "--proxy", f"socks5h://ci:{TOKEN}@{closed.address}", "https://api.test/x")
    assert done.returncode == 0, done.stderr
    for proxy in (f"socks5h://ci:wrong@{closed.address}", f"socks5h://{closed.address}"):
        assert curl(closed, "--proxy", proxy, "https://api.test/x").returncode == 97
    assert len(api.seen) == 1


def test_a_client_that_does_not_trust_us_is_in_the_journal(gateway: Serve, ca_file: Path) -> None:
    with gateway.dial() as client:
        assert open_to(client, name_request(b"api.test")) == 0
        with pytest.raises(ssl.SSLCertVerificationError):
            client.start_tls(str(ca_file), "api.test")
    _until(lambda: bool(gateway.journal()))
    assert "did not complete TLS" in gateway.journal()[0]["error"]
