"""The clients: each kind of traffic is one coroutine that does one thing once, and raises when the outcome is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from websockets.asyncio.client import connect

from bench.soak.messages import BIG_OCTETS, DUMMY_KEY, EVENTS, GRPC, HTTP, REAL_KEY, WEBSOCKET

if TYPE_CHECKING:
    from pathlib import Path

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class WrongOutcomeError(Exception):
    """Something came back that should not have."""


@dataclass(frozen=True)
class Gateway:
    """Where the traffic goes in. ``proxy`` and ``socks`` are ``host:port``."""

    proxy: str
    socks: str
    ca: Path
    tls: ssl.SSLContext


def _expect(outcome: object, wanted: object, what: str) -> None:
    if outcome != wanted:
        raise WrongOutcomeError(f"{what}: {outcome!r} instead of {wanted!r}")


async def _open(address: str) -> _Streams:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port), limit=1 << 20)


@contextlib.asynccontextmanager
async def _tunnel(gateway: Gateway, host: str = HTTP) -> AsyncIterator[_Streams]:
    reader, writer = await _open(gateway.proxy)
    try:
        writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        _expect((await reader.readuntil(b"\r\n\r\n"))[9:12], b"200", "CONNECT")
        await writer.start_tls(gateway.tls, server_hostname=host)
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _request(streams: _Streams, path: str, host: str = HTTP, *, method: str = "GET", more: str = "") -> str:
    """Sends a request's head; gives the head of the answer."""
    reader, writer = streams
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nx-api-key: {DUMMY_KEY}\r\n{more}\r\n".encode())
    return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
    return await reader.readexactly(int(lengths[0].partition(":")[2]))


async def keep_alive(gateway: Gateway) -> None:
    """Some requests over one connection; the server echoes the key, which must not come back."""
    async with _tunnel(gateway) as streams:
        for _ in range(20):
            head = await _request(streams, "/echo")
            _expect(head[9:12], "200", "an allowed request")
            _expect(REAL_KEY.encode() in await _body(streams[0], head), False, "the key in the answer")


async def refused(gateway: Gateway) -> None:
    """A path that no rule names, on a connection that stays usable."""
    async with _tunnel(gateway) as streams:
        for path, status in (("/admin", "403"), ("/echo", "200")):
            head = await _request(streams, path)
            _expect(head[9:12], status, path)
            await _body(streams[0], head)


async def refused_host(gateway: Gateway) -> None:
    """A host that no rule names."""
    reader, writer = await _open(gateway.proxy)
    writer.write(b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n")
    _expect((await reader.readuntil(b"\r\n\r\n"))[9:12], b"403", "a host that is not allowed")
    writer.close()


async def malformed(gateway: Gateway) -> None:
    """A request that can be read in two ways."""
    async with _tunnel(gateway) as streams:
        head = await _request(streams, "/echo", more="Content-Length: 3\r\nContent-Length: 4\r\n")
        _expect(head[9:12], "400", "an ambiguous request")


async def upload(gateway: Gateway) -> None:
    """A chunked body."""
    async with _tunnel(gateway) as (reader, writer):
        writer.write(
            f"POST /upload HTTP/1.1\r\nHost: {HTTP}\r\nx-api-key: {DUMMY_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        block = bytes(1 << 16)
        for _ in range(16):
            writer.write(b"%x\r\n%b\r\n" % (len(block), block))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        _expect(await _body(reader, head), str(16 * len(block)).encode(), "an upload")


async def download(gateway: Gateway) -> None:
    """A large answer."""
    async with _tunnel(gateway) as streams:
        head = await _request(streams, "/download")
        _expect(len(await _body(streams[0], head)), BIG_OCTETS, "a download")


async def gone(gateway: Gateway) -> None:
    """A client that hangs up in the middle of an answer."""
    async with _tunnel(gateway) as (reader, writer):
        await _request((reader, writer), "/download")
        await reader.readexactly(1 << 16)
        writer.transport.abort()


async def events(gateway: Gateway) -> None:
    """A stream of server-sent events, each with the key in it."""
    async with _tunnel(gateway) as streams:
        await _request(streams, "/events")
        text = b""
        while not text.endswith(b"0\r\n\r\n"):
            text += await streams[0].readuntil(b"\r\n")
        _expect(text.count(b"data: "), EVENTS, "events")
        _expect(REAL_KEY.encode() in text, False, "the key in an event")


async def websocket(gateway: Gateway) -> None:
    """Messages there and back."""
    async with connect(
        f"wss://{WEBSOCKET}/chat",
        ssl=gateway.tls,
        proxy=f"http://{gateway.proxy}",
        additional_headers={"x-api-key": DUMMY_KEY},
    ) as connection:
        for size in (10, 1000, 100_000):
            message = secrets.token_bytes(size)
            await connection.send(message)
            _expect(await connection.recv() == message, True, "a message")


async def socks(gateway: Gateway) -> None:
    """The same by SOCKS5 (RFC 1928)."""
    reader, writer = await _open(gateway.socks)
    try:
        writer.write(b"\x05\x01\x00")
        _expect(await reader.readexactly(2), b"\x05\x00", "the SOCKS greeting")
        writer.write(b"\x05\x01\x00\x03" + bytes([len(HTTP)]) + HTTP.encode() + (443).to_bytes(2, "big"))
        _expect((await reader.readexactly(10))[1], 0, "the SOCKS reply")
        await writer.start_tls(gateway.tls, server_hostname=HTTP)
        _expect((await _request((reader, writer), "/echo"))[9:12], "200", "a request by SOCKS")
    finally:
        writer.close()


async def rpc(gateway: Gateway) -> None:
    """gRPC: a call, and a conversation in which each answer comes before the next question."""
    options = (("grpc.http_proxy", f"http://{gateway.proxy}"), ("grpc.use_local_subchannel_pool", 1))
    credentials = grpc.ssl_channel_credentials(gateway.ca.read_bytes())
    async with grpc.aio.secure_channel(f"{GRPC}:443", credentials, options) as channel:
        message = secrets.token_bytes(1000)
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/soak.Echo/Unary")
        _expect(await call(message) == message, True, "a call")
        start: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/soak.Echo/Chat")
        chat = start()
        for _ in range(10):
            await chat.write(message)
            _expect(await chat.read() == message, True, "a conversation")
        await chat.done_writing()
        forbidden: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/soak.Echo/Forbidden")
        try:
            await forbidden(message)
        except grpc.aio.AioRpcError as error:
            _expect(error.code(), grpc.StatusCode.PERMISSION_DENIED, "a forbidden call")
        else:
            raise WrongOutcomeError("a forbidden call went through")


Kind = Callable[[Gateway], Awaitable[None]]

KINDS: Final[dict[Kind, float]] = {
    # How often each begins, in times a second; together a good part of a core.
    keep_alive: 16,
    refused: 8,
    refused_host: 8,
    malformed: 4,
    upload: 4,
    download: 2,
    gone: 4,
    events: 8,
    websocket: 8,
    socks: 8,
    rpc: 4,
}
