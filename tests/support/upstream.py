"""Real servers on loopback for the gateway to talk to."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httptools

if TYPE_CHECKING:
    import trustme


@dataclass
class Seen:
    """One request as a server saw it, parsed by llhttp and not by the program under test."""

    method: str = ""
    target: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False

    def on_url(self, url: bytes) -> None:
        self.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value


async def read_request(reader: asyncio.StreamReader, *, body: bool = True) -> Seen | None:
    """One request, or nothing at the end of the connection."""
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        octet = await reader.read(1)
        if not octet:
            return None
        head += octet
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        seen.complete = True
    seen.method = parser.get_method().decode()
    while body and not seen.complete:
        data = await reader.read(1 << 16)
        if not data:
            break
        parser.feed_data(data)
    return seen


def answer(status: int = 200, body: bytes = b"", headers: str = "", *, length: bool = True) -> bytes:
    """An HTTP/1.1 answer."""
    framing = f"content-length: {len(body)}\r\n" if length else ""
    return f"HTTP/1.1 {status} X\r\n{headers}{framing}\r\n".encode("latin-1") + body


Handler = Callable[["Upstream", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request with what it saw, as JSON; keep-alive."""
    while (seen := await read_request(reader)) is not None:
        server.seen.append(seen)
        shown: dict[str, Any] = {
            "method": seen.method,
            "target": seen.target,
            "headers": seen.headers,
            "body": seen.body.decode("latin-1"),
        }
        body = b"" if seen.method == "HEAD" else json.dumps(shown).encode()
        writer.write(answer(body=body, headers="content-type: application/json\r\n", length=seen.method != "HEAD"))
        await writer.drain()


class Upstream:
    """A server on 127.0.0.1 in a thread of its own; ``handler`` may be exchanged at any time.

    ``sock`` is a socket that listens already, instead of one on 127.0.0.1; without ``alpn`` the server does not know ALPN.
    """

    def __init__(
        self,
        ca: trustme.CA | None,
        *names: str,
        handler: Handler = echo,
        sock: socket.socket | None = None,
        alpn: tuple[str, ...] = (),
    ) -> None:
        self.handler = handler
        self.seen: list[Seen] = []
        self.connections = 0
        self._context: ssl.SSLContext | None = None
        if ca is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(*names).configure_cert(self._context)
            if alpn:
                self._context.set_alpn_protocols(alpn)
        self._sock = sock or socket.create_server(("127.0.0.1", 0))
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    def demand_certificate(self, ca: trustme.CA) -> None:
        """Of every client from now on, issued by ``ca`` (TLS 1.2, where the handshake fails without)."""
        assert self._context is not None
        ca.configure_trust(self._context)
        self._context.verify_mode = ssl.CERT_REQUIRED

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._sock, ssl=self._context, limit=1 << 20)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.handler(self, reader, writer)
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
