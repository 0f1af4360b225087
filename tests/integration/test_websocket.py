"""WebSockets: the real library on both ends, and octets where a handshake has to be bent."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidProxyStatus, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from outward.gateway.websocket import accept_of
from tests.support.client import push
from tests.support.upstream import Seen, Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme
    from websockets.sync.client import ClientConnection

    from tests.support.client import Connection
    from tests.support.serve import Serve

MIB = 1 << 20
MEMORY = 120 * MIB
REAL = "sk-ant-test-REAL-0123456789abcdefghij"
OTHER = "sk-ant-test-PLACEHOLDER-of-another-place"
POLICY = """
secrets:
  key: {{env: KEY, expose: API_KEY}}
  other: {{env: KEY, placeholder: {other}}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["GET,HEAD /v1/**"]
    deny: ["* /v1/admin/**"]
    redact: {redact}
    inject: [{{header: authorization, value: "Bearer {{key}}"}}]
  - host: plain.test
    scheme: http
    connect_to: 127.0.0.1:{port}
    allow: ["GET /v1/**"]
"""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
HANDSHAKE = f"GET /v1/ws HTTP/1.1\r\nHost: api.test\r\n{UPGRADE}\r\n".encode()
SWITCH = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {accept_of(KEY)}\r\n\r\n"
).encode()


@pytest.fixture
def gateway(serve: Callable[..., Serve]) -> Callable[..., Serve]:
    """Starts a gateway that knows ``api.test`` and ``plain.test``, both at a port; most servers here send no frames."""

    def start(port: int, *, redact: bool = False) -> Serve:
        policy = POLICY.format(port=port, other=OTHER, redact="true" if redact else "false")
        return serve(policy, env={"KEY": REAL})

    return start


def ended(gateway: Serve) -> dict[str, Any]:
    """The record of the only WebSocket's end."""
    records: list[dict[str, Any]] = []
    for _ in range(500):
        records = [r for r in gateway.journal() if (r["kind"], r["phase"]) == ("websocket", "end")]
        if records:
            break
        time.sleep(0.02)
    (record,) = records
    return record


# -- the real library on both ends


@contextmanager
def echoing(ca: trustme.CA, **options: Any) -> Iterator[tuple[int, list[ServerConnection]]]:
    """A server that says everything back, until it is told to close. Gives its port and the connections it has had."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("api.test").configure_cert(context)
    seen: list[ServerConnection] = []

    def talk(connection: ServerConnection) -> None:
        seen.append(connection)
        for message in connection:
            if message == "close":
                connection.close(4001, "as you wish")
                return
            connection.send(message)

    server = serve_websocket(talk, "127.0.0.1", 0, ssl=context, max_size=4 * MIB, **options)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.socket.getsockname()[1], seen
    server.shutdown()
    thread.join()


def dial(gateway: Serve, uri: str = "wss://api.test/v1/ws", **options: Any) -> ClientConnection:
    """A real client behind the gateway. To be used as a context."""
    context = ssl.create_default_context(cafile=gateway.ca)
    client: ClientConnection = connect(uri, proxy=f"http://{gateway.address}", ssl=context, max_size=4 * MIB, **options)
    return client


@pytest.mark.parametrize(
    ("redact", "compression"), [(False, "deflate"), (False, None), (True, "deflate"), (True, None)]
)
def test_messages_go_both_ways(
    server_ca: trustme.CA, gateway: Callable[..., Serve], redact: bool, compression: str | None
) -> None:
    text, binary = "€" * (MIB // 3), os.urandom(MIB)
    with echoing(server_ca, subprotocols=["second"]) as (port, seen):
        served = gateway(port, redact=redact)
        options: dict[str, Any] = {
            "compression": compression,
            "subprotocols": ["first", "second"],
            "additional_headers": {"authorization": "Bearer mine", "x-api-key": "mine"},
        }
        with dial(served, **options) as client:
            assert client.subprotocol == "second"
            compressed = bool(compression) and not redact  # what is redacted has to be readable
            names = [extension.name for extension in client.protocol.extensions]
            assert names == (["permessage-deflate"] if compressed else [])
            for message in (text, binary, "", b"", "done"):
                client.send(message)
                assert client.recv(timeout=20) == message
            assert client.ping().wait(20), "the server's pong"
            assert seen[0].ping().wait(20), "the client's"
            client.send("close")
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(timeout=20)
        end = ended(served)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")
    headers = seen[0].request.headers  # type: ignore[union-attr]
    assert headers.get_all("authorization") == [f"Bearer {REAL}"]
    assert "x-api-key" not in headers
    assert (end["status"], end["secrets"], end.get("error")) == (101, ["key"], None)
    # The text hardly counts when it is compressed: what went through is what was written.
    least = MIB if compressed else 2 * MIB
    for count in (end["bytes_in"], end["bytes_out"]):
        assert least <= count < least + 100_000


@pytest.mark.parametrize("redact", [True, False])
@pytest.mark.parametrize("form", [str, lambda text: b64encode(b"x" + text.encode()).decode(), str.encode])
def test_what_the_server_says_is_redacted(
    server_ca: trustme.CA, gateway: Callable[..., Serve], redact: bool, form: Callable[[str], Any]
) -> None:
    with echoing(server_ca) as (port, _), dial(gateway(port, redact=redact)) as client:
        said = form(f"the key is {REAL}, is it not?")
        client.send(said)
        heard = client.recv(timeout=20)
        client.send([said[:20], said[20:30], said[30:]])  # in fragments
        assert client.recv(timeout=20) == heard
        assert type(heard) is type(said)
        assert (heard != said) is redact


def test_where_it_is_redacted_frames_have_to_be_frames(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    async def talk(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await read_request(reader)
        writer.write(SWITCH)
        await reader.read(1)  # the client has seen that
        writer.write(b"\x81\x02ok\xc1\x02no")
        await reader.read()

    served = gateway(upstream("api.test", handler=talk).port, redact=True)
    with served.tunnel("api.test") as client:
        client.send(HANDSHAKE)
        assert client.read_head()[0] == 101
        client.send(b"?")
        while client.receive():
            pass
        assert b"no" not in client.buffer
    assert "extension" in ended(served)["error"]


def refusal(gateway: Serve, uri: str = "wss://api.test/v1/ws", **headers: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused, dial(gateway, uri, additional_headers=headers):
        pytest.fail("the WebSocket was opened")
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"")["error"]["code"]


def test_a_refused_upgrade_is_a_typed_answer(server_ca: trustme.CA, gateway: Callable[..., Serve]) -> None:
    with echoing(server_ca) as (port, seen):
        served = gateway(port)
        assert refusal(served, "wss://api.test/v2/ws") == (403, "path_not_allowed")
        assert refusal(served, "wss://api.test/v1/admin/ws") == (403, "denied_by_rule")
        assert refusal(served, authorization=f"Bearer {OTHER}") == (403, "placeholder_leak")
        with pytest.raises(InvalidProxyStatus), dial(served, "wss://evil.test/v1/ws"):
            pytest.fail("the host was reached")
        with dial(served) as client:
            client.send("hi")
            assert client.recv(timeout=20) == "hi"
    assert len(seen) == 1


# -- the handshake


class Scripted:
    """A server that answers an upgrade with ``first``, and keeps what comes after it; ``more`` are further answers."""

    def __init__(self, first: bytes, *more: bytes) -> None:
        self.answers = [first, *more]
        self.requests: list[Seen] = []
        self.tail = b""
        self.go = threading.Event()
        self.go.set()
        self.ended = threading.Event()

    async def __call__(self, server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for reply in self.answers:
                seen = await read_request(reader, body=False)
                if seen is None:
                    return
                self.requests.append(seen)
                await asyncio.to_thread(self.go.wait, 20)
                writer.write(reply)
                await writer.drain()
            while data := await reader.read(1 << 16):
                self.tail += data
        finally:
            self.ended.set()

    @property
    def paths(self) -> list[str]:
        return [request.target for request in self.requests]


def read(client: Connection, count: int) -> bytes:
    while len(client.buffer) < count:
        assert client.receive(), client.buffer
    data, client.buffer = client.buffer[:count], client.buffer[count:]
    return data


def read_all(client: Connection) -> bytes:
    while client.receive():
        pass
    data, client.buffer = client.buffer, b""
    return data


ADMIN = b"GET /v1/admin/keys HTTP/1.1\r\nHost: api.test\r\n\r\n"


@pytest.mark.parametrize("size", [10, 4 * MIB])
def test_what_the_client_sends_early_waits_for_the_server(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve], size: int
) -> None:
    server = Scripted(SWITCH + b"hello")
    server.go.clear()
    served = gateway(upstream("api.test", handler=server).port)
    with served.tunnel("api.test") as client:
        # Before it answers the gateway holds as much of it as it ever will.
        threading.Timer(0.3, server.go.set).start()
        client.send(HANDSHAKE + b"e" * size)
        assert client.read_head()[0] == 101
        assert read(client, 5) == b"hello"
    assert server.ended.wait(20)
    assert server.tail == b"e" * size


@pytest.mark.parametrize("status", [200, 403, 426])
def test_a_server_that_refuses_sees_no_second_request(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve], status: int
) -> None:
    """Upgrade smuggling: what follows a refused upgrade is a request like any other, and is decided about."""
    server = Scripted(answer(status, b"no"), answer(200, b"an ordinary one"))
    served = gateway(upstream("api.test", handler=server).port)
    with served.tunnel("api.test") as client:
        client.send(HANDSHAKE + ADMIN)
        assert client.read_answer().status == status
        assert client.read_answer().code == "denied_by_rule"
        assert client.request("GET", "/v1/x", "api.test").body == b"an ordinary one", "the connection goes on"
    served.stop()  # closes the connection that it keeps
    assert server.ended.wait(20)
    assert (server.paths, server.tail) == (["/v1/ws", "/v1/x"], b"")


LIES = {
    "no proof": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "somebody else's proof": SWITCH.replace(accept_of(KEY).encode(), accept_of(KEY.lower()).encode()),
    "another protocol": SWITCH.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    "nothing about the connection": SWITCH.replace(b"Connection: Upgrade\r\n", b""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_has_not_understood_gets_no_tunnel(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve], lie: str
) -> None:
    """A 101 that somebody else made the server say: it still reads HTTP, and nobody would decide about the rest."""
    server = Scripted(LIES[lie], answer(200, b"all keys"))
    served = gateway(upstream("api.test", handler=server).port)
    with served.tunnel("api.test") as client:
        client.send(HANDSHAKE)
        refused = client.read_answer()
        assert (refused.status, refused.code) == (502, "upstream_unreachable")
        assert client.request("GET", "/v1/admin/keys", "api.test").code == "denied_by_rule"
    assert server.ended.wait(20)
    assert (server.paths, server.tail) == (["/v1/ws"], b"")


def test_with_the_proof_nobody_decides_about_the_rest(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    """What the check above prevents: a server that proves itself and reads on as HTTP can be asked for anything."""
    server = Scripted(SWITCH, answer(200, b"all keys"))
    served = gateway(upstream("api.test", handler=server).port)
    with served.tunnel("api.test") as client:
        client.send(HANDSHAKE)
        assert client.read_head()[0] == 101
        client.send(ADMIN)
        assert client.read_answer().body == b"all keys"
    assert server.paths == ["/v1/ws", "/v1/admin/keys"]


@pytest.mark.parametrize(
    "handshake",
    [
        HANDSHAKE.replace(b"GET", b"HEAD"),
        HANDSHAKE.replace(KEY.encode(), b"short"),
        HANDSHAKE.replace(b"Version: 13", b"Version: 8"),
        HANDSHAKE.replace(b"Host", b"Content-Length: 4\r\nHost") + b"body",
    ],
)
def test_what_is_no_handshake_does_not_go_out(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve], handshake: bytes
) -> None:
    server = Scripted(SWITCH)
    served = gateway(upstream("api.test", handler=server).port)
    with served.tunnel("api.test") as client:
        client.send(handshake)
        refused = client.read_answer("HEAD" if handshake.startswith(b"HEAD") else "GET")
        assert refused.status == 400
        assert client.closed()
    assert server.requests == []


def test_a_kept_connection_that_the_server_closed_is_replaced(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    async def one_each(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        assert seen is not None
        writer.write(SWITCH if seen.target == "/v1/ws" else answer(body=b"ok"))  # says keep-alive, and then hangs up
        await writer.drain()

    served = gateway(upstream("api.test", handler=one_each).port)
    for _ in range(10):
        with served.tunnel("api.test") as client:
            assert client.request("GET", "/v1/x", "api.test").body == b"ok"
            client.send(HANDSHAKE)
            assert client.read_head()[0] == 101


# -- the tunnel


def test_what_was_sent_before_the_end_arrives(upstream: Callable[..., Upstream], gateway: Callable[..., Serve]) -> None:
    closed, counted, count = threading.Event(), threading.Event(), 0

    async def slow(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        assert await read_request(reader)
        writer.write(SWITCH)
        await asyncio.to_thread(closed.wait, 20)
        while data := await reader.read(1 << 16):
            count += len(data)
            await asyncio.sleep(0.001)  # slower than the gateway reads: it still holds some when the client has gone
        counted.set()

    served = gateway(upstream("api.test", handler=slow).port)
    with served.tunnel("api.test") as client:
        client.send(HANDSHAKE)
        assert client.read_head()[0] == 101
        sent = push(client.sock, 256 * MIB, patience=0.5)
        assert sent < 256 * MIB, "the server does not read, so the gateway does not either"
        client.sock.shutdown(socket.SHUT_WR)
        closed.set()
        assert counted.wait(20)
    assert (count, ended(served)["bytes_in"]) == (sent, sent), served.journal()
    assert ended(served)["bytes_in"] == sent


def test_where_there_is_no_tls_one_direction_may_end_first(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    async def last_word(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await read_request(reader)
        writer.write(SWITCH)
        writer.write((await reader.read())[::-1])  # waits for the end of what the client says
        await writer.drain()

    served = gateway(upstream(tls=False, handler=last_word).port)
    with served.dial() as client:
        client.send(HANDSHAKE.replace(b"GET /", b"GET http://plain.test/").replace(b"api", b"plain"))
        assert client.read_head()[0] == 101
        client.send(b"abc")
        client.sock.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"cba"
    end = ended(served)
    assert (end["bytes_in"], end["bytes_out"], end.get("error")) == (3, 3, None)


def test_a_fast_server_waits_for_a_slow_client(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    size = 256 * MIB

    async def pour(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await read_request(reader)
        writer.write(SWITCH)
        block = b"x" * MIB
        for _ in range(size // MIB):
            writer.write(block)
            await writer.drain()

    served = gateway(upstream("api.test", handler=pour).port)
    with served.tunnel("api.test") as client:
        client.send(HANDSHAKE)
        assert client.read_head()[0] == 101
        threading.Event().wait(1)  # nobody reads for a while
        count, client.buffer = len(client.buffer), b""
        while client.receive():
            count, client.buffer = count + len(client.buffer), b""
    assert count == size
    assert ended(served)["bytes_out"] == size
    assert served.peak() < MEMORY
