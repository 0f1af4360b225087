"""HTTP/2 over time: slow ends, the end of the gateway, WebSockets on a stream, and listeners other than CONNECT."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from h2.errors import ErrorCodes
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from tests.support.http2 import Http2Client, http2
from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

    from tests.support.serve import Serve

MIB = 1 << 20
MEMORY = 120 * MIB
KEY = "sk-ant-test-REAL-0123456789abcdefghij"
POLICY = """
secrets:
  key: {{env: KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    deny: ["* /admin/**"]
    inject: [{{header: x-api-key, secret: key}}]
"""


@pytest.fixture
def gateway(serve: Callable[..., Serve]) -> Callable[..., Serve]:
    """Starts a gateway to a port."""
    return lambda port, *arguments: serve(POLICY.format(port=port), *arguments, env={"KEY": KEY})


# -- slow ends


async def pour(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives 256 MiB, or a word to who asks for one."""
    while (seen := await read_request(reader)) is not None:
        if seen.target == "/word":
            writer.write(answer(body=b"word"))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * MIB))
            for _ in range(1024):
                writer.write(bytes(MIB // 4))
                await writer.drain()
        await writer.drain()


def test_a_slow_client_takes_no_memory_and_holds_nobody_up(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    served = gateway(upstream("api.test", handler=pour).port)
    with http2(served, "api.test") as client:
        client.h2.increment_flow_control_window(1 << 30)
        client.flush()
        client.acknowledges = False
        slow = [client.begin("GET", "/all") for _ in range(20)]
        for number in slow:
            client.until(lambda number=number: len(client.streams[number].body) == 65_535)  # type: ignore[misc]
        for _ in range(50):
            assert client.request("GET", "/word").body == b"word"
        assert {len(client.streams[number].body) for number in slow} == {65_535}
    assert served.peak() < MEMORY


def test_a_download_arrives_whole(upstream: Callable[..., Upstream], gateway: Callable[..., Serve]) -> None:
    payload = os.urandom(16 * MIB)

    async def give(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(body=payload))
        await writer.drain()

    with http2(gateway(upstream("api.test", handler=give).port), "api.test") as client:
        assert client.request("GET", "/all").body == payload


def test_a_slow_server_takes_no_memory_and_holds_nobody_up(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    go_on = threading.Event()

    async def swallow(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader, body=False)
        assert seen is not None
        if seen.target == "/word":
            writer.write(answer(body=b"word"))
        else:
            left, count = int(seen["content-length"]), 0
            await asyncio.to_thread(go_on.wait)
            while count < left:
                count += len(await reader.read(MIB))
            writer.write(answer(body=str(count).encode()))
        await writer.drain()

    size = 16 * MIB
    served = gateway(upstream("api.test", handler=swallow).port)
    with http2(served, "api.test") as client:
        number = client.begin("PUT", "/upload", ("content-length", str(size)), end=False)
        uploading = threading.Thread(target=client.send, args=(number, bytes(size)), kwargs={"end": True})
        with http2(served, "api.test") as other:
            uploading.start()
            for _ in range(20):
                assert other.request("GET", "/word").body == b"word"
        assert uploading.is_alive(), "the window is closed"
        go_on.set()
        uploading.join(60)
        assert client.answer(number).body == str(size).encode()
    assert served.peak() < MEMORY


# -- floods, against a gateway that has others to serve


def rapid_reset(client: Http2Client) -> bytes:
    """CVE-2023-44487"""
    number = client.begin("GET", "/word")
    client.h2.reset_stream(number)
    return client.h2.data_to_send()


def endless_head(client: Http2Client) -> bytes:
    """CVE-2024-27316: CONTINUATION without end; each carries a field that is as large as it may be."""
    return bytes.fromhex("004000 09 00 00000001") + bytes(0x4000)


def pings(client: Http2Client) -> bytes:
    """CVE-2019-9512"""
    return bytes.fromhex("000008 06 00 00000000 0000000000000000") * 100


CALM = struct.pack(">I", ErrorCodes.ENHANCE_YOUR_CALM)
"""In a GOAWAY."""


def what_has_come(client: Http2Client) -> bytes:
    """Without waiting, and without the library, which would not go on after a GOAWAY."""
    client.connection.sock.settimeout(0)
    try:
        return client.connection.sock.recv(1 << 16)
    except ssl.SSLWantReadError:
        return b""
    finally:
        client.connection.sock.settimeout(15)


@pytest.mark.parametrize("flood", [rapid_reset, endless_head, pings], ids=lambda flood: flood.__name__)
def test_floods_end_their_connection_and_no_other(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve], flood: Callable[[Http2Client], bytes]
) -> None:
    server = upstream("api.test", handler=pour)
    served = gateway(server.port)
    with http2(served, "api.test") as client, http2(served, "api.test") as other:
        if flood is endless_head:
            client.raw(bytes.fromhex("000001 01 01 00000001 82"))
        sent, heard = 0, b""
        while CALM not in heard and sent < 20_000:
            client.raw(flood(client))
            sent += 1
            if sent % 20 == 0:
                heard += what_has_come(client)
                assert other.request("GET", "/word").body == b"word"
        assert CALM in heard
        assert other.request("GET", "/word").body == b"word"
    assert server.connections < 1_000, "what a client takes back is not begun for ever"
    assert served.peak() < MEMORY
    assert "malformed_request" in {record.get("code") for record in served.journal()}


# -- the end


def test_what_is_in_flight_ends_before_the_gateway(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve]
) -> None:
    go_on = threading.Event()

    async def late(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.to_thread(go_on.wait)
        writer.write(answer(body=b"late"))
        await writer.drain()

    served = gateway(upstream("api.test", handler=late).port)
    with http2(served, "api.test") as client, http2(served, "api.test") as idle:
        number = client.begin("GET", "/late")
        served.process.send_signal(signal.SIGTERM)
        # The library takes a GOAWAY for the end of the connection; what comes after it is read off the wire.
        octets = read_until_goaway(client)
        assert octets.endswith(struct.pack(">II", number, ErrorCodes.NO_ERROR))
        idle.until(lambda: idle.goaway is not None)
        assert not idle.receive(), "nothing was in flight there"
        go_on.set()
        rest = b""
        while data := client.connection.sock.recv(1 << 16):
            rest += data
        assert b"late" in rest
    assert served.process.wait(20) == 0
    (end,) = [record for record in served.journal() if record["phase"] == "end"]
    assert (end["status"], end["path"]) == (200, "/late")


def read_until_goaway(client: Http2Client) -> bytes:
    octets = b""
    while b"\0\0\x08\x07\0\0\0\0\0" not in octets:
        data = client.connection.sock.recv(1 << 16)
        assert data
        octets += data
    return octets


# -- WebSockets on a stream (RFC 8441)


@contextmanager
def echoing(ca: trustme.CA) -> Iterator[tuple[int, list[ServerConnection]]]:
    """A real server that says everything back. Gives its port and the connections it has had."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("api.test").configure_cert(context)
    seen: list[ServerConnection] = []

    def talk(connection: ServerConnection) -> None:
        seen.append(connection)
        for message in connection:
            connection.send(message)

    server = serve_websocket(talk, "127.0.0.1", 0, ssl=context, subprotocols=["second"])  # type: ignore[list-item]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.socket.getsockname()[1], seen
    server.shutdown()
    thread.join()


def opening(client: Http2Client, path: str, *more: tuple[str, str], protocol: str = "websocket") -> int:
    fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        *client.fields("CONNECT", path)[1:],
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "first, second"),
        ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        *more,
    ]
    return client.begin_with(fields, end=False)


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as clients send them (RFC 6455 §5.2), with a mask of zeros."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


TEXT, CLOSE = 1, 8


def test_a_websocket_on_a_stream(server_ca: trustme.CA, gateway: Callable[..., Serve]) -> None:
    with echoing(server_ca) as (port, seen), http2(gateway(port), "api.test") as client:
        number = opening(client, "/ws", ("x-api-key", "sk-ant-test-MINE"), ("sec-websocket-key", "bm9uc2Vuc2U="))
        shown = client.streams[number]
        client.until(lambda: shown.status != 0)
        assert shown.status == 200
        assert shown.headers["sec-websocket-protocol"] == "second"
        # A secret is bound here, so that messages have to be read: no compression is agreed on.
        assert not {"sec-websocket-extensions", "sec-websocket-accept", "connection", "upgrade"} & set(shown.headers)
        client.send(number, masked(TEXT, b"hello"))
        client.until(lambda: shown.body.endswith(b"\x81\x05hello"))
        assert client.request("GET", "/admin/x").status == 403, "other streams go on"
        client.send(number, masked(CLOSE, struct.pack(">H", 1000)))
        client.until(lambda: shown.ended)
        assert shown.body.endswith(b"\x88\x02\x03\xe8"), "the server's close"
    headers = seen[0].request.headers  # type: ignore[union-attr]
    assert headers.get_all("x-api-key") == [KEY]
    assert headers["sec-websocket-key"] != "bm9uc2Vuc2U="


def test_a_client_that_ends_its_stream_has_hung_up(server_ca: trustme.CA, gateway: Callable[..., Serve]) -> None:
    with echoing(server_ca) as (port, seen), http2(gateway(port), "api.test") as client:
        number = opening(client, "/ws")
        client.until(lambda: client.streams[number].status != 0)
        client.send(number, masked(CLOSE, struct.pack(">H", 4002)), end=True)
        client.answer(number)
        while not seen or seen[0].close_code is None:  # its thread may not have begun
            threading.Event().wait(0.01)
        assert seen[0].close_code == 4002, "what came before the end has arrived"


@pytest.mark.parametrize(
    ("what", "path", "more", "protocol", "status"),
    [
        ("another path", "/admin/ws", (), "websocket", 403),
        ("another protocol", "/ws", (), "connect-udp", 400),
        ("another version", "/ws", (("sec-websocket-version", "12"),), "websocket", 400),
        ("a length", "/ws", (("content-length", "0"),), "websocket", 400),
    ],
)
def test_websockets_that_are_refused(
    upstream: Callable[..., Upstream],
    gateway: Callable[..., Serve],
    what: str,
    path: str,
    more: tuple[tuple[str, str], ...],
    protocol: str,
    status: int,
) -> None:
    server = upstream("api.test")
    with http2(gateway(server.port), "api.test") as client:
        shown = client.answer(opening(client, path, *more, protocol=protocol))
        assert shown.status == status
    assert server.seen == []


@pytest.mark.parametrize(
    ("what", "raw", "status"),
    [
        ("a success that is no upgrade", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 502),
        ("an upgrade without its proof", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
        ("a refusal of the server's own", b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", 404),
    ],
)
def test_websockets_that_the_server_does_not_open(
    upstream: Callable[..., Upstream], gateway: Callable[..., Serve], what: str, raw: bytes, status: int
) -> None:
    """In HTTP/2 any success would open the tunnel (RFC 8441 §5), with a server behind it that reads requests."""

    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    with http2(gateway(upstream("api.test", handler=handler).port), "api.test") as client:
        number = opening(client, "/ws")
        client.send(number, b"GET /admin/x HTTP/1.1\r\nHost: api.test\r\n\r\n")
        assert client.answer(number).status == status


# -- other ways in


def test_through_socks(upstream: Callable[..., Upstream], gateway: Callable[..., Serve]) -> None:
    server = upstream("api.test")
    served = gateway(server.port, "--socks", "127.0.0.1:0")
    connection = served.dial()
    connection.send(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x08api.test" + struct.pack(">H", 443))
    while len(connection.buffer) < 12:
        assert connection.receive()
    assert connection.buffer[:4] == b"\x05\x00\x05\x00"
    connection.buffer = b""
    connection.start_tls(served.ca, "api.test", ("h2",))
    with Http2Client(connection, "api.test") as client:
        assert client.request("GET", "/x").status == 200
        assert client.request("GET", "/admin/x").status == 403
    assert [seen["x-api-key"] for seen in server.seen] == [KEY]


def test_a_reverse_listener_speaks_http1_only(upstream: Callable[..., Upstream], gateway: Callable[..., Serve]) -> None:
    """It has no TLS, and HTTP/2 in the clear is not spoken."""
    server = upstream("api.test")
    served = gateway(server.port, "--reverse", "127.0.0.1:0=https://api.test")
    with served.dial() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        refused = client.read_answer()
        assert (refused.status, refused.code) == (400, "malformed_request")
    assert server.seen == []
