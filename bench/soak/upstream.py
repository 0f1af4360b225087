"""The servers at the far end, in a process of their own: HTTP/1.1, WebSocket and gRPC, each behind TLS.

Run as ``python -m bench.soak.upstream CERTIFICATE KEY``; prints their ports as one JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from websockets.asyncio.server import ServerConnection, serve

from bench.soak.messages import BIG_OCTETS, EVENTS, REAL_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BLOCK: Final = b"0123456789abcdef" * 4096


def _content(octets: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(octets) + octets


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            if f"x-api-key: {REAL_KEY}" not in head:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
            elif path == "/echo":
                writer.write(_content(head.encode("latin-1")))
            elif path == "/upload":
                received = await _chunked(reader)
                writer.write(_content(str(received).encode()))
            elif path == "/download":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % BIG_OCTETS)
                for _ in range(BIG_OCTETS // len(_BLOCK)):
                    writer.write(_BLOCK)
                    await writer.drain()
            elif path == "/events":
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for number in range(EVENTS):
                    event = f"data: {number} {REAL_KEY}\n\n".encode()
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                    await asyncio.sleep(0.1)
                writer.write(b"0\r\n\r\n")
            await writer.drain()
    writer.close()


async def _chunked(reader: asyncio.StreamReader) -> int:
    received = 0
    while size := int(await reader.readline(), 16):
        received += len(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return received


async def _websocket(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _unary(request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return request


async def _chat(
    requests: AsyncIterator[bytes], _context: grpc.aio.ServicerContext[bytes, bytes]
) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def _serve(certificate: Path, key: Path, credentials: grpc.ServerCredentials) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    http = await asyncio.start_server(_http, "127.0.0.1", 0, ssl=tls)
    websocket = await serve(_websocket, "127.0.0.1", 0, ssl=tls)
    rpc = grpc.aio.server()
    rpc.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "soak.Echo",
                {
                    "Unary": grpc.unary_unary_rpc_method_handler(_unary),
                    "Chat": grpc.stream_stream_rpc_method_handler(_chat),
                },
            ),
        )
    )
    rpc_port = rpc.add_secure_port("127.0.0.1:0", credentials)
    await rpc.start()
    ports = {
        "http": http.sockets[0].getsockname()[1],
        "websocket": next(iter(websocket.sockets)).getsockname()[1],
        "grpc": rpc_port,
    }
    print(json.dumps(ports), flush=True)
    await rpc.wait_for_termination()


def main(certificate: Path, key: Path) -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients hang up on purpose
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    asyncio.run(_serve(certificate, key, credentials))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
