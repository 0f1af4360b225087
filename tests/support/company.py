"""A company's proxy on loopback: CONNECT, plain HTTP in absolute-form, SOCKS 5; knows names that nobody else does."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import httptools

from tests.support.upstream import Seen, answer, read_request

if TYPE_CHECKING:
    import trustme

Behaviour: TypeAlias = Callable[["CompanyProxy", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def http(proxy: CompanyProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tunnels what it is asked to, forwards what names its server."""
    while (seen := await read_request(reader)) is not None:
        proxy.asked.append(seen)
        if proxy.credentials is not None:
            expected = "Basic " + base64.b64encode(proxy.credentials.encode()).decode()
            if seen.all("proxy-authorization") != [expected]:
                challenge = 'proxy-authenticate: Basic realm="corp"\r\n'
                writer.write(answer(407, seen.headers.__repr__().encode(), challenge))
                await writer.drain()
                continue
        if seen.method == "CONNECT":
            server = await proxy.connect(seen.target)
            if server is None:
                writer.write(answer(502))
                continue
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 corp\r\n\r\n")
            await join((reader, writer), server)
            return
        await _forward(proxy, seen, writer)


async def _forward(proxy: CompanyProxy, seen: Seen, writer: asyncio.StreamWriter) -> None:
    scheme, _, rest = seen.target.partition("://")
    place, _, path = rest.partition("/")
    server = await proxy.connect(place if ":" in place else f"{place}:80")
    if scheme != "http" or server is None:
        writer.write(answer(502))
        return
    lines = [f"{name}: {value}" for name, value in seen.headers if proxy.leaks or name != "proxy-authorization"]
    head = "\r\n".join([f"{seen.method} /{path} HTTP/1.1", *lines, "Connection: close", "", ""])
    server[1].write(head.encode("latin-1") + seen.body)
    while data := await server[0].read(1 << 16):
        writer.write(data)
        if not proxy.leaks and data.endswith(b"}"):
            break
    server[1].close()


async def socks(proxy: CompanyProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """RFC 1928, with the user and password of RFC 1929 where the proxy has credentials."""
    _, count = await reader.readexactly(2)
    wanted = b"\x02" if proxy.credentials is not None else b"\x00"
    if wanted not in await reader.readexactly(count):
        writer.write(b"\x05\xff")
        return
    writer.write(b"\x05" + wanted)
    if proxy.credentials is not None:
        _, size = await reader.readexactly(2)
        user = await reader.readexactly(size)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        good = user + b":" + password == proxy.credentials.encode()
        writer.write(b"\x01\x00" if good else b"\x01\x01")
        if not good:
            return
    _, _, _, kind = await reader.readexactly(4)
    if kind == 3:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    else:
        family, octets = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(family, await reader.readexactly(octets))
    port = int.from_bytes(await reader.readexactly(2), "big")
    proxy.asked.append(Seen("SOCKS", f"{host}:{port}"))
    server = await proxy.connect(f"{host}:{port}")
    if server is None:
        writer.write(b"\x05\x04\x00\x01" + bytes(6))
        return
    writer.write(b"\x05\x00\x00\x03\x04corp\x00\x00")
    await join((reader, writer), server)


def saying(data: bytes, *, close: bool = False) -> Behaviour:
    """Answers the first request with ``data``; then waits to be left alone, or closes."""

    async def say(proxy: CompanyProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await read_request(reader)
        assert seen is not None
        proxy.asked.append(seen)
        writer.write(data)
        await writer.drain()
        while not close and await reader.read(1 << 16):
            pass

    return say


Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def join(client: Streams, server: Streams) -> None:
    """Passes octets both ways until one side ends."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    await asyncio.gather(pump(client[0], server[1]), pump(server[0], client[1]))


class CompanyProxy:
    """A proxy on 127.0.0.1 in a thread of its own. ``hosts`` are the ports of the names that it knows."""

    def __init__(
        self,
        ca: trustme.CA | None = None,
        *,
        hosts: dict[str, int] | None = None,
        credentials: str | None = None,
        behaviour: Behaviour = http,
        name: str = "127.0.0.1",
    ) -> None:
        """With ``ca`` it speaks TLS, as ``name``."""
        self.hosts = hosts or {}
        self.credentials = credentials
        self.behaviour = behaviour
        self.leaks = False
        """Whether its own credentials are passed on to servers."""
        self.asked: list[Seen] = []
        self.connections = 0
        self._context: ssl.SSLContext | None = None
        if ca is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(name).configure_cert(self._context)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def targets(self) -> list[str]:
        """What tunnels and requests it was asked for."""
        return [f"{seen.method} {seen.target}" for seen in self.asked]

    async def connect(self, place: str) -> Streams | None:
        """A connection to a name that it knows, or to an address, whatever the port."""
        host, _, port = place.rpartition(":")
        try:
            return await asyncio.open_connection("127.0.0.1", self.hosts.get(host, int(port)), limit=1 << 20)
        except OSError:
            return None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context, limit=1 << 20)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.behaviour(self, reader, writer)
        except (ConnectionError, httptools.HttpParserError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
