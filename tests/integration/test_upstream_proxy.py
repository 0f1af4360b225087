"""A company's proxy between the gateway and a real TLS server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.company import CompanyProxy, saying, socks
from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from tests.support.serve import Serve

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
PASSWORD = "corp-test-Passw0rd-0123456789"
ENVIRONMENT = {"KEY": KEY, "CORP": PASSWORD}

SECRETS = "secrets: {key: {env: KEY, expose: API_KEY}, corp: {env: CORP}}\n"
API = """
destinations:
  - host: api.test
    ca: CA
    allow: [GET /**, PUT /**]
    inject: [{header: x-api-key, secret: key}]
"""


@pytest.fixture
def api(upstream: Callable[..., Upstream]) -> Upstream:
    return upstream("api.test")


@pytest.fixture
def company(server_ca: trustme.CA) -> Iterator[Callable[..., CompanyProxy]]:
    """Starts proxies: ``company(api)`` knows the server ``api.test``; with ``tls=True`` it is spoken to in TLS."""
    started: list[CompanyProxy] = []

    def start(api: Upstream | None = None, *, tls: bool = False, **options: Any) -> CompanyProxy:
        options.setdefault("hosts", {"api.test": api.port} if api is not None else {})
        proxy = CompanyProxy(options.pop("ca", server_ca) if tls else None, **options)
        started.append(proxy)
        return proxy

    yield start
    for proxy in started:
        proxy.close()


def through(proxy: CompanyProxy, scheme: str = "http", **fields: str) -> str:
    """The policy's word on the proxy."""
    more = "".join(f", {key}: {value}" for key, value in fields.items())
    return f"{SECRETS}proxy: {{url: '{scheme}://127.0.0.1:{proxy.port}'{more}}}\n"


def assert_unseen(gateway: Serve, *answers: bytes, value: str = PASSWORD) -> None:
    """The password is in no answer, no record and no message."""
    files = [file.read_bytes() for file in (gateway.state / "journal").glob("*.jsonl")]
    for text in (*answers, *files, gateway.stderr.read_bytes()):
        assert value.encode() not in text


# -- CONNECT


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("credentials", [None, f"agent:{PASSWORD}"], ids=["open", "basic"])
def test_the_way_out_leads_through_the_proxy(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], tls: bool, credentials: str | None
) -> None:
    proxy = company(api, tls=tls, credentials=credentials)
    fields = {"username": "agent", "secret": "corp"} if credentials else {}
    policy = through(proxy, "https", ca="CA", **fields) if tls else through(proxy, **fields)
    gateway = serve(policy + API, env=ENVIRONMENT)
    with gateway.tunnel("api.test") as client:
        first = client.request("GET", "/v1/models", "api.test")
        second = client.request("PUT", "/v1/files", "api.test", body=b"x" * 1_000_000)
    assert (first.status, second.status) == (200, 200)
    assert second.json()["body"] == "x" * 1_000_000
    assert [seen["x-api-key"] for seen in api.seen] == [KEY, KEY]
    assert proxy.targets == ["CONNECT api.test:443"], "one tunnel, used twice"
    assert {seen["host"] for seen in proxy.asked} == {"api.test:443"}
    assert not any(name == "proxy-authorization" for seen in api.seen for name, _ in seen.headers)
    assert {r["address"] for r in gateway.journal() if r["phase"] == "end"} == {"127.0.0.1"}
    assert_unseen(gateway, first.raw + first.body)


def test_the_short_form(api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]) -> None:
    proxy = company(api)
    gateway = serve(f"{SECRETS}proxy: http://127.0.0.1:{proxy.port}\n{API}", env=ENVIRONMENT)
    assert gateway.get("api.test", "/v1").status == 200
    assert proxy.targets == ["CONNECT api.test:443"]


def test_a_destination_has_its_own_way(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    general, special = company(api), company(api)
    policy = f"""
    proxy: http://127.0.0.1:{general.port}
    destinations:
      - {{host: api.test, ca: CA, allow: [GET /a], proxy: 'http://127.0.0.1:{special.port}'}}
      - {{host: "*.example", ca: CA, allow: [GET /**], proxy: none}}
      - {{host: direct.test, ca: CA, allow: [GET /**], connect_to: '127.0.0.1:{api.port}'}}
    """
    gateway = serve(policy)
    assert gateway.get("api.test", "/a").status == 200
    direct = gateway.get("unknown.example", "/")
    assert (direct.status, direct.code) == (502, "upstream_unreachable")
    assert gateway.get("direct.test", "/").code == "upstream_tls", "it was dialled, and is api.test"
    assert (general.targets, special.targets) == ([], ["CONNECT api.test:443"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"username": "agent", "secret": "key"}, "does not accept the credentials (407)"),
        ({}, "demands credentials (407)"),
    ],
)
def test_a_proxy_that_does_not_know_us(
    api: Upstream,
    company: Callable[..., CompanyProxy],
    serve: Callable[..., Serve],
    fields: dict[str, str],
    words: str,
) -> None:
    proxy = company(api, credentials=f"agent:{PASSWORD}")
    gateway = serve(through(proxy, **fields) + API, env=ENVIRONMENT)
    refused = gateway.get("api.test", "/v1")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    error = refused.json()["error"]
    assert f"the proxy http://127.0.0.1:{proxy.port} {words}" in error["message"]
    assert "username, secret" in error["hint"]
    assert api.seen == []
    assert_unseen(gateway, refused.raw + refused.body, value=KEY)


def test_without_its_secret_the_proxy_is_not_asked(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    proxy = company(api)  # it would let us through without
    gateway = serve(through(proxy, username="agent", secret="corp") + API, env={"KEY": KEY})
    refused = gateway.get("api.test", "/v1")
    assert (refused.status, refused.code) == (503, "secret_unavailable")
    assert "'corp'" in refused.json()["error"]["message"]
    assert proxy.connections == 0


ANSWERS = {
    # what a proxy says to CONNECT: what is made of it
    "refused": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "refused to connect to api.test:443 (403)"),
    "not able": (b"HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\nabc", "was not able to connect to api.test:443 (503)"),
    "elsewhere": (b"HTTP/1.1 302 X\r\nLocation: http://portal.test/\r\n\r\n", "(302)"),
    "octets too many": (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "sent more than its answer"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9\r\n\r\n", "is not HTTP"),
    "a line without CR": (b"HTTP/1.1 200 OK\n\n", "is not HTTP"),
    "no end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "is not HTTP"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_else_a_proxy_may_answer(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], name: str
) -> None:
    said, words = ANSWERS[name]
    proxy = company(api, behaviour=saying(said))
    gateway = serve(through(proxy) + API, env=ENVIRONMENT)
    refused = gateway.get("api.test", "/v1")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    assert f"the proxy http://127.0.0.1:{proxy.port} " in refused.json()["error"]["message"]
    assert words in refused.json()["error"]["message"]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_proxy_that_hangs_up(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], said: bytes, tls: bool
) -> None:
    proxy = company(api, tls=tls, behaviour=saying(said, close=True))
    policy = through(proxy, "https", ca="CA") if tls else through(proxy)
    refused = serve(policy + API, env=ENVIRONMENT).get("api.test", "/v1")
    assert refused.status == 502
    assert refused.code in (
        {"upstream_unreachable", "upstream_tls"} if said.endswith(b"\n\r\n") else {"upstream_unreachable"}
    )


def test_a_proxy_that_is_not_there(serve: Callable[..., Serve]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    gateway = serve(f"{SECRETS}proxy: http://127.0.0.1:{port}\n{API}", env=ENVIRONMENT)
    refused = gateway.get("api.test", "/v1")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    assert f"the proxy http://127.0.0.1:{port}: " in refused.json()["error"]["message"]


# -- certificates


def test_the_proxy_s_certificate_is_verified(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    proxy = company(api, tls=True)
    refused = serve(through(proxy, "https") + API, env=ENVIRONMENT).get("api.test", "/v1")
    assert (refused.status, refused.code) == (502, "upstream_tls")
    assert f"the certificate of the proxy https://127.0.0.1:{proxy.port}" in refused.json()["error"]["message"]
    assert "proxy: {url, ca}" in refused.json()["error"]["hint"]
    assert proxy.asked == []


def test_the_proxy_s_certificate_must_be_its_own(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    proxy = company(api, tls=True, name="another.test")
    refused = serve(through(proxy, "https", ca="CA") + API, env=ENVIRONMENT).get("api.test", "/v1")
    assert refused.code == "upstream_tls"
    assert proxy.asked == []


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_the_server_s_certificate_is_verified_behind_the_proxy(
    company: Callable[..., CompanyProxy], upstream: Callable[..., Upstream], serve: Callable[..., Serve], tls: bool
) -> None:
    another = upstream("another.test")
    proxy = company(tls=tls, hosts={"api.test": another.port})
    policy = through(proxy, "https", ca="CA") if tls else through(proxy)
    refused = serve(policy + API, env=ENVIRONMENT).get("api.test", "/v1")
    assert (refused.status, refused.code) == (502, "upstream_tls")
    assert "the certificate of api.test" in refused.json()["error"]["message"]
    assert another.seen == []


def test_the_proxy_s_authority_does_not_vouch_for_servers(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    """A proxy that opens TLS would sign for every server: `ca` of the proxy is for the proxy alone."""
    api = upstream("api.test")
    proxy = company(api, tls=True)
    refused = serve(through(proxy, "https", ca="CA") + API.replace("ca: CA", ""), env=ENVIRONMENT).get(
        "api.test", "/v1"
    )
    assert refused.code == "upstream_tls"
    assert proxy.targets == ["CONNECT api.test:443"]
    assert api.seen == []


# -- plain HTTP

PLAIN = """
destinations:
  - {host: api.test, scheme: http, allow: [GET /**]}
"""


def plain_get(gateway: Serve, path: str, headers: str = "") -> Any:
    with gateway.dial() as client:
        return client.request("GET", f"http://api.test{path}", "api.test", headers)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_plain_http_is_sent_in_absolute_form(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve], tls: bool
) -> None:
    api = upstream(tls=False)
    proxy = company(api, tls=tls, credentials=f"agent:{PASSWORD}")
    fields = {"username": "agent", "secret": "corp"}
    policy = through(proxy, "https", ca="CA", **fields) if tls else through(proxy, **fields)
    gateway = serve(policy + PLAIN, env=ENVIRONMENT)
    shown = plain_get(gateway, "/a/../b%2e?q=1", "Proxy-Authorization: Basic bWluZQ==\r\nX-Mine: 1\r\n")
    assert shown.status == 200
    assert proxy.targets == ["GET http://api.test/b.?q=1"], "what was matched is what is sent"
    assert proxy.asked[0]["host"] == "api.test"
    assert [(seen.target, seen["x-mine"]) for seen in api.seen] == [("/b.?q=1", "1")]
    assert_unseen(gateway, shown.raw + shown.body)


def test_a_proxy_that_passes_its_credentials_on_does_not_give_them_away(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    api = upstream(tls=False)
    proxy = company(api, credentials=f"agent:{PASSWORD}")
    proxy.leaks = True
    gateway = serve(through(proxy, username="agent", secret="corp") + PLAIN, env=ENVIRONMENT)
    shown = plain_get(gateway, "/echo", "Accept-Encoding: gzip\r\n")
    (seen,) = api.seen
    sent = seen["proxy-authorization"]
    assert seen["accept-encoding"] == "identity"
    assert b"proxy-authorization" in shown.body, "the server shows it"
    assert sent.encode() not in shown.body
    assert sent[20:-8].encode() not in shown.body


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_the_proxy_s_407_is_not_for_the_client(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve], password: str
) -> None:
    proxy = company(upstream(tls=False), credentials=f"agent:{PASSWORD}")
    gateway = serve(through(proxy, username="agent", secret="corp") + PLAIN, env={"KEY": KEY, "CORP": password})
    shown = plain_get(gateway, "/")
    assert shown.status == (200 if password == PASSWORD else 502)
    if password != PASSWORD:
        assert shown.code == "upstream_unreachable"
        assert "does not accept the credentials (407)" in shown.json()["error"]["message"]
        assert shown.header("proxy-authenticate") is None


def test_a_websocket_in_the_clear_gets_a_tunnel(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    async def upgrade(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        assert seen is not None
        if not seen.all("upgrade"):
            writer.write(answer(body=b"{}"))
            return
        accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"  # RFC 6455 §1.3
        writer.write(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + accept + b"\r\n")
        writer.write(await reader.readexactly(4))
        await writer.drain()

    proxy = company(upstream(tls=False, handler=upgrade))
    gateway = serve(through(proxy) + PLAIN, env=ENVIRONMENT)
    assert plain_get(gateway, "/").status == 200, "leaves a connection that could be used again"
    with gateway.dial() as client:
        fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        fields += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        client.send(f"GET http://api.test/ws HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n".encode())
        assert client.read_head()[0] == 101
        client.send(b"ping")
        while len(client.buffer) < 4:
            assert client.receive()
        assert client.buffer == b"ping"
    assert proxy.targets == ["GET http://api.test/", "CONNECT api.test:80"]


# -- what is not looked into


def test_passthrough_through_a_proxy(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], ca_file: Path
) -> None:
    proxy = company(api, tls=True)
    policy = through(proxy, "https", ca="CA") + "destinations: [{host: api.test, tls: passthrough, allow: connect}]\n"
    gateway = serve(policy, env=ENVIRONMENT)
    with gateway.dial() as client:
        assert client.connect("api.test:443").status == 200
        client.start_tls(str(ca_file), "api.test")
        assert client.request("GET", "/x", "api.test").status == 200
    assert proxy.targets == ["CONNECT api.test:443"]


def test_passthrough_fails_closed_without_the_proxy_s_secret(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    proxy = company(api)
    policy = through(proxy, username="agent", secret="corp")
    gateway = serve(policy + "destinations: [{host: api.test, tls: passthrough, allow: connect}]\n", env={"KEY": KEY})
    with gateway.dial() as client:
        refused = client.connect("api.test:443")
    assert (refused.status, refused.code) == (503, "secret_unavailable")
    assert proxy.connections == 0


# -- SOCKS


@pytest.mark.parametrize("credentials", [None, f"agent:{PASSWORD}"], ids=["open", "password"])
def test_socks(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], credentials: str | None
) -> None:
    proxy = company(api, behaviour=socks, credentials=credentials)
    fields = {"username": "agent", "secret": "corp"} if credentials else {}
    gateway = serve(through(proxy, "socks5h", **fields) + API, env=ENVIRONMENT)
    assert gateway.get("api.test", "/v1").status == 200
    assert proxy.targets == ["SOCKS api.test:443"]


@pytest.mark.parametrize(
    ("credentials", "fields", "words"),
    [
        (f"agent:{PASSWORD}", {"username": "agent", "secret": "key"}, "does not accept the credentials"),
        (f"agent:{PASSWORD}", {}, "demands credentials"),
        (None, {"username": "agent", "secret": "corp"}, "does not take a user and password"),
    ],
)
def test_socks_refusals(
    api: Upstream,
    company: Callable[..., CompanyProxy],
    serve: Callable[..., Serve],
    credentials: str | None,
    fields: dict[str, str],
    words: str,
) -> None:
    proxy = company(api, behaviour=socks, credentials=credentials)
    refused = serve(through(proxy, "socks5h", **fields) + API, env=ENVIRONMENT).get("api.test", "/v1")
    assert (refused.status, refused.code) == (502, "upstream_unreachable")
    assert f"the proxy socks5h://127.0.0.1:{proxy.port} {words}" in refused.json()["error"]["message"]
    assert api.seen == []


def test_socks5_is_told_the_address_that_was_checked(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    local = upstream("localhost")
    proxy = company(behaviour=socks)
    place = f"host: localhost, port: {local.port}, ca: CA, allow: [GET /**]"
    for private, status in (("false", 403), ("true", 200)):
        policy = f"destinations: [{{{place}, allow_private: {private}}}]\n"
        gateway = serve(through(proxy, "socks5") + policy, env=ENVIRONMENT)
        with gateway.tunnel("localhost", port=local.port) as client:
            assert client.request("GET", "/", f"localhost:{local.port}").status == status
    assert proxy.targets in ([f"SOCKS 127.0.0.1:{local.port}"], [f"SOCKS ::1:{local.port}"])


def test_socks5_does_not_ask_for_names_that_have_no_address_here(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    proxy = company(api, behaviour=socks)
    assert serve(through(proxy, "socks5") + API, env=ENVIRONMENT).get("api.test", "/").code == "upstream_unreachable"
    assert proxy.connections == 0


# -- what must not be reached


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254"])
def test_private_addresses_are_not_asked_for(
    company: Callable[..., CompanyProxy], upstream: Callable[..., Upstream], serve: Callable[..., Serve], host: str
) -> None:
    """An address, and a name that has a private one here: even if the proxy would connect."""
    server = upstream(host)
    proxy = company(hosts={host: server.port})
    place = f"host: {host}, ca: CA, allow: [GET /**]"
    for private, status in (("false", 403), ("true", 200)):
        gateway = serve(through(proxy) + f"destinations: [{{{place}, allow_private: {private}}}]\n", env=ENVIRONMENT)
        with gateway.tunnel(host, sni=None if host[0].isdigit() else host) as client:
            shown = client.request("GET", "/", host)
        assert shown.status == status
        if status == 403:
            assert shown.code == "address_not_allowed"
            assert proxy.connections == 0


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("way", ["proxy", "direct"])
def test_the_proxy_is_no_destination(
    api: Upstream,
    company: Callable[..., CompanyProxy],
    serve: Callable[..., Serve],
    ca_file: Path,
    name: str,
    way: str,
) -> None:
    """Whoever spoke to it could ask for a tunnel to anywhere: by its address, by another name, directly or through itself."""
    proxy = company(api, tls=True, name="localhost")
    place = f"{{host: {name}, port: {proxy.port}, tls: passthrough, allow: connect, allow_private: true"
    place += ", proxy: none}" if way == "direct" else "}"

    def relayed(policy: str) -> bool:
        gateway = serve(policy, env=ENVIRONMENT)
        with gateway.dial() as client:
            opened = client.connect(f"{name}:{proxy.port}")
            if opened.status != 200:
                # Where "localhost" has a second address it is tried when it is dialled, and there is nobody.
                others = {where[0] for *_, where in socket.getaddrinfo(name, proxy.port)} - {"127.0.0.1"}
                tried = way == "direct" and others
                assert opened.code == ("upstream_unreachable" if tried else "address_not_allowed")
                assert "is the proxy" in opened.json()["error"]["message"]
                return False
            client.start_tls(str(ca_file), None if name[0].isdigit() else name)
            return client.connect("api.test:443").status == 200

    if name == "localhost" and way == "direct":
        assert relayed(f"destinations: [{place}]\n"), "a host like any other, if nobody said what it is"
    assert not relayed(through(proxy, "https", ca="CA") + f"destinations: [{place}]\n")
    assert not relayed(
        f"destinations: [{place}, {{host: api.test, allow: [GET /], proxy: 'https://localhost:{proxy.port}'}}]\n"
    )


def test_the_gateway_is_not_its_own_proxy(serve: Callable[..., Serve]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    gateway = serve(f"{SECRETS}proxy: http://127.0.0.1:{port}\n{API}", "--listen", f"127.0.0.1:{port}", env=ENVIRONMENT)
    refused = gateway.get("api.test", "/v1")
    assert (refused.status, refused.code) == (403, "address_not_allowed")
    assert "this gateway itself" in refused.json()["error"]["message"]


# -- the caller's environment


@pytest.mark.parametrize("workers", [1, 2])
def test_the_environment_s_proxy(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], workers: int
) -> None:
    proxy = company(api, credentials="agent@corp:p@ss:word/0123")
    url = f"http://agent%40corp:p%40ss:word%2F0123@127.0.0.1:{proxy.port}"
    options = ("--listen", "127.0.0.1:0", "--workers", str(workers))
    gateway = serve(SECRETS + API, *options, env={**ENVIRONMENT, "HTTPS_PROXY": url})
    shown = gateway.get("api.test", "/p@ss:word/0123")
    assert shown.status == 200
    said = f"outward: requests go out through the proxy http://127.0.0.1:{proxy.port} (HTTPS_PROXY)\n"
    assert gateway.stderr.read_text() == said
    assert proxy.targets == ["CONNECT api.test:443"]
    assert {r["path"] for r in gateway.journal()} == {"/[secret password in $HTTPS_PROXY]"}


@pytest.mark.parametrize(
    ("policy", "environment"),
    [
        ("proxy: none\n", {}),
        ("", {"NO_PROXY": "other.test, .test"}),
        ("", {"no_proxy": "api.test", "NO_PROXY": "unused"}),
    ],
    ids=["none", "NO_PROXY", "no_proxy"],
)
def test_what_goes_around_the_environment_s_proxy(
    api: Upstream,
    company: Callable[..., CompanyProxy],
    serve: Callable[..., Serve],
    policy: str,
    environment: dict[str, str],
) -> None:
    proxy = company(api)
    address = f"http://127.0.0.1:{proxy.port}"
    gateway = serve(SECRETS + policy + API, env={**ENVIRONMENT, "HTTPS_PROXY": address, **environment})
    assert gateway.get("api.test", "/").code == "upstream_unreachable", "there is no such name"
    assert proxy.connections == 0


def test_the_policy_comes_before_the_environment(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    ours, theirs = company(api), company(api)
    gateway = serve(through(ours) + API, env={**ENVIRONMENT, "https_proxy": f"http://127.0.0.1:{theirs.port}"})
    assert gateway.get("api.test", "/").status == 200
    assert (ours.connections, theirs.connections) == (1, 0)
    assert gateway.stderr.read_text() == ""


def test_an_upper_case_http_proxy_is_not_for_plain_http(
    upstream: Callable[..., Upstream], company: Callable[..., CompanyProxy], serve: Callable[..., Serve]
) -> None:
    """CVE-2016-5385 and its like: in a CGI program this variable is a client's `Proxy` header."""
    proxy = company(upstream(tls=False))
    address = f"http://127.0.0.1:{proxy.port}"
    assert plain_get(serve(PLAIN, env={"HTTP_PROXY": address}), "/").status == 502
    assert proxy.connections == 0
    assert plain_get(serve(PLAIN, env={"http_proxy": address}), "/").status == 200


def test_a_reload_keeps_the_environment_s_proxy_and_takes_the_policy_s(
    api: Upstream, company: Callable[..., CompanyProxy], serve: Callable[..., Serve], ca_file: Path
) -> None:
    ours, theirs = company(api), company(api, credentials=f"agent:{PASSWORD}")
    url = f"http://agent:{PASSWORD}@127.0.0.1:{theirs.port}"
    gateway = serve(SECRETS + API, env={**ENVIRONMENT, "HTTPS_PROXY": url})
    assert gateway.get("api.test", "/").status == 200
    policy = API.replace("CA", str(ca_file))
    gateway.reload(SECRETS + policy.replace("PUT", "POST"))
    assert gateway.get("api.test", "/").status == 200
    gateway.reload(through(ours) + policy)
    assert gateway.get("api.test", "/").status == 200
    assert (len(theirs.asked), len(ours.asked)) == (2, 1)
