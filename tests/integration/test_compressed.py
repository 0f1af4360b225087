"""Answers that are compressed although the gateway asked for none: decoded, scrubbed and sent on as they are."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from typing import TYPE_CHECKING, Any

import brotli
import pytest

from tests.support.codings import ENCODERS, flusher
from tests.support.http2 import http2
from tests.support.http2_server import Http2Server, Stream
from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

    from tests.support.serve import Serve

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
POLICY = """
secrets:
  key: {{env: KEY, placeholder: sk-ant-test-FAKE-0123456789abcdefghij}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{{header: x-api-key, secret: key}}]
    redact: {redact}
"""
MIB = 1 << 20


@pytest.fixture
def gateway(serve: Callable[..., Serve]) -> Callable[..., Serve]:
    def start(port: int, *, redact: bool = True) -> Serve:
        return serve(POLICY.format(port=port, redact=str(redact).lower()), env={"KEY": KEY})

    return start


@pytest.fixture
def http2_server(server_ca: trustme.CA) -> Iterator[Callable[..., Http2Server]]:
    started: list[Http2Server] = []

    def start(handler: Any) -> Http2Server:
        started.append(Http2Server(server_ca, "api.test", handler=handler))
        return started[-1]

    yield start
    for server in started:
        server.close()
        assert server.errors == []


CODINGS = list(ENCODERS)


def echoing(*, chunked: bool = False, headers: str = "") -> Any:
    """A handler that shows its client's key, compressed as the path says, as long as the connection lasts."""

    async def handler(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            server.seen.append(seen)
            coding = CODINGS[int(seen.target[1:])]
            body = ENCODERS[coding](f"you sent {seen['x-api-key']}, did you?".encode())
            fields = f"content-encoding: {coding.partition(' ')[0]}\r\n{headers}"
            if chunked:
                writer.write(f"HTTP/1.1 200 OK\r\n{fields}transfer-encoding: chunked\r\n\r\n".encode())
                for octet in body:
                    writer.write(b"1\r\n%c\r\n" % octet)
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(answer(body=b"" if seen.method == "HEAD" else body, headers=fields))
            await writer.drain()

    return handler


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_compressed_is_scrubbed(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream], chunked: bool
) -> None:
    server = upstream("api.test", handler=echoing(chunked=chunked))
    with gateway(server.port).tunnel("api.test") as client:
        for number in range(len(CODINGS)):
            shown = client.request("GET", f"/{number}", "api.test", "Accept-Encoding: gzip, br, zstd, deflate\r\n")
            assert shown.status == 200
            assert shown.body == b"you sent sk-ant-test-FAKE-0123456789abcdefghij, did you?"
            assert shown.header("content-encoding") is None
            assert chunked or shown.header("content-length") == str(len(shown.body))
    assert [seen.all("accept-encoding") for seen in server.seen] == [["identity"]] * len(CODINGS)
    assert server.connections == 1, "the connection is as good as before"


def test_without_the_scrubber_it_would_come_back(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    with gateway(upstream("api.test", handler=echoing()).port, redact=False).tunnel("api.test") as client:
        for number, coding in enumerate(CODINGS):
            shown = client.request("GET", f"/{number}", "api.test")
            assert shown.body == ENCODERS[coding](f"you sent {KEY}, did you?".encode())
            assert shown.header("content-encoding") == coding.partition(" ")[0]


def test_the_head_is_that_of_an_answer_that_is_not_compressed(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    headers = 'ETag: "one"\r\nVary: accept-encoding\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\nX-Stays: 1\r\n'
    server = upstream("api.test", handler=echoing(headers=headers))
    with gateway(server.port).tunnel("api.test") as client:
        shown = client.request("GET", "/0", "api.test")
        head = client.request("HEAD", "/0", "api.test")
    for one in (shown, head):
        assert one.header("etag") == 'W/"one"'
        assert one.header("vary") == "accept-encoding"
        assert one.header("x-stays") == "1"
        assert not {"accept-ranges", "content-md5", "content-encoding"} & dict(one.headers).keys()
    assert head.header("content-length") is None, "it would be that of the compressed one"


FINE = gzip.compress(b"fine")
UNREADABLE = [
    (200, "content-encoding: compress", b"x", "'compress'"),
    (200, "content-encoding: gzip, gzip, gzip, gzip", b"x", "4 times"),
    (200, "content-encoding: gzip\r\ncontent-encoding: dcz", FINE, "'dcz'"),
    (206, "content-encoding: gzip\r\ncontent-range: bytes 0-9/90", FINE, "part of something"),
    (200, "content-encoding: gzip", b"not gzip", "damaged"),
    (200, "content-encoding: gzip", FINE[:-1], "in the middle"),
    (200, "content-encoding: gzip", FINE + b"more", "damaged"),
]


@pytest.mark.parametrize("redact", [True, False])
def test_what_cannot_be_decoded_is_refused(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream], redact: bool
) -> None:
    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            status, headers, body, _says = UNREADABLE[int(seen.target[1:])]
            writer.write(answer(status, body, f"{headers}\r\n"))
            await writer.drain()

    with gateway(upstream("api.test", handler=handler).port, redact=redact).tunnel("api.test") as client:
        for number, (_, _, body, says) in enumerate(UNREADABLE):
            shown = client.request("GET", f"/{number}", "api.test")
            if redact:
                assert (shown.status, shown.code) == (502, "upstream_unreachable")
                assert says in shown.json()["error"]["message"]
            else:
                assert shown.body == body


def test_an_answer_that_is_cut_short_later_is_not_taken_for_whole(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream]
) -> None:
    body = gzip.compress(json.dumps(list(range(300_000))).encode())

    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(200, body[:-9], "content-encoding: gzip\r\n"))
        await writer.drain()
        await reader.read()

    running = gateway(upstream("api.test", handler=handler).port)
    with pytest.raises(ConnectionResetError):
        running.get("api.test", "/a")
    running.stop()
    assert "in the middle" in running.journal()[-1]["error"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
@pytest.mark.parametrize("version", [1, 2])
def test_events_come_one_by_one(
    gateway: Callable[..., Serve],
    upstream: Callable[..., Upstream],
    http2_server: Callable[..., Http2Server],
    coding: str,
    version: int,
) -> None:
    """The server says the next one only when the client has read the one before."""
    read = threading.Semaphore(0)
    flush = flusher(coding)
    fields = [("content-type", "text/event-stream"), ("content-encoding", coding)]

    async def events() -> Any:
        for number in range(5):
            # The end of each is the beginning of the key, and of an escape.
            yield flush(b"data: %d %b\n\n" % (number, [KEY[:9].encode(), b"sk-ant-\\", b"%", b"&#", b"s"][number]))
            assert await asyncio.get_running_loop().run_in_executor(None, read.acquire, True, 20)

    async def http1(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())
        async for event in events():
            writer.write(event)
            await writer.drain()

    async def http2_handler(_: Http2Server, stream: Stream) -> None:
        stream.head(200, *fields)
        async for event in events():
            await stream.send(event)

    server = upstream("api.test", handler=http1) if version == 1 else http2_server(http2_handler)
    with gateway(server.port).tunnel("api.test") as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: api.test\r\n\r\n")
        status, headers, _ = client.read_head()
        assert (status, "content-encoding" in dict(headers)) == (200, False)
        for number in range(5):
            while b"data: %d " % number not in client.buffer or not client.buffer.endswith(b"\n\n\r\n"):
                assert client.receive()
            read.release()


def test_from_http2_to_http2(gateway: Callable[..., Serve], http2_server: Callable[..., Http2Server]) -> None:
    async def handler(_: Http2Server, stream: Stream) -> None:
        body = brotli.compress(f"it was {stream['x-api-key']}".encode())
        stream.head(200, ("content-encoding", "br"), ("content-length", str(len(body))))
        await stream.send(body, end=True)

    with http2(gateway(http2_server(handler).port), "api.test") as client:
        shown = client.request("GET", "/a")
        assert shown.body == b"it was sk-ant-test-FAKE-0123456789abcdefghij"
        assert "content-encoding" not in shown.headers


@pytest.mark.parametrize("version", [1, 2])
def test_a_bomb_waits_for_its_client(
    gateway: Callable[..., Serve], upstream: Callable[..., Upstream], version: int
) -> None:
    """What a few octets stand for is made as the client takes it, and the gateway's memory stays as it was."""
    size = 200 * MIB
    engine = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(engine.compress(bytes(MIB)) for _ in range(size // MIB)) + engine.flush()
    bomb = gzip.compress(bomb)

    async def handler(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(200, bomb, "content-encoding: gzip, gzip\r\n"))
        await writer.drain()

    running = gateway(upstream("api.test", handler=handler).port)
    count = 0
    if version == 1:
        with running.tunnel("api.test") as client:
            client.send(b"GET /a HTTP/1.0\r\nHost: api.test\r\n\r\n")
            client.read_head()
            count = len(client.buffer)
            while data := client.sock.recv(1 << 18):
                count += len(data)
    else:
        with http2(running, "api.test") as client2:
            number = client2.begin("GET", "/a")
            stream = client2.streams[number]
            while not stream.over and client2.receive():
                count += len(stream.body)
                stream.body = b""
    assert count == size
    assert running.peak() < 120 * MIB
