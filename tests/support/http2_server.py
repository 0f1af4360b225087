"""Real servers of HTTP/2 on loopback, well-behaved and not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

if TYPE_CHECKING:
    import trustme


class Stream:
    """One request as the server sees it, and its answer."""

    def __init__(self, connection: Connection, number: int, headers: list[tuple[str, str]]) -> None:
        self.connection = connection
        self.number = number
        self.headers = headers
        self.body: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: that was all
        self.reset: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The code with which the client gave up."""

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    async def read(self) -> bytes:
        """The whole body."""
        body = b""
        while (part := await self.body.get()) is not None:
            body += part
        return body

    def head(self, status: int, *fields: tuple[str, str], end: bool = False) -> None:
        headers = [(":status", str(status)), *fields]
        self.connection.library.send_headers(self.number, headers, end_stream=end)
        self.connection.flush()

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Waits for the client's windows."""
        library = self.connection.library
        while data:
            room = min(library.local_flow_control_window(self.number), library.max_outbound_frame_size, len(data))
            if room <= 0:
                await self.connection.windows()
                continue
            library.send_data(self.number, data[:room])
            data = data[room:]
            self.connection.flush()
            await self.connection.writer.drain()
        if end:
            library.end_stream(self.number)
            self.connection.flush()

    def trailers(self, *fields: tuple[str, str]) -> None:
        self.connection.library.send_headers(self.number, list(fields), end_stream=True)
        self.connection.flush()

    def break_off(self, code: int) -> None:
        self.connection.library.reset_stream(self.number, code)
        self.connection.flush()


Handler = Callable[["Http2Server", Stream], Awaitable[None]]


async def echo(server: Http2Server, stream: Stream) -> None:
    """Answers with what it saw, as JSON."""
    body = await stream.read()
    shown: dict[str, Any] = {"headers": stream.headers, "body": body.decode("latin-1")}
    answer = b"" if stream[":method"] == "HEAD" else json.dumps(shown).encode()
    fields = [("content-type", "application/json"), ("content-length", str(len(answer)))]
    stream.head(200, *fields, end=not answer)
    if answer:
        await stream.send(answer, end=True)


class Connection:
    """One connection. ``library`` keeps the rules; ``raw`` does not."""

    def __init__(self, server: Http2Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.streams: dict[int, Stream] = {}
        self.received = b""
        self.library = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._opened = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def flush(self) -> None:
        self.writer.write(self.library.data_to_send())

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    async def windows(self) -> None:
        """Waits until the client has opened a window."""
        self._opened.clear()
        await self._opened.wait()

    async def run(self) -> None:
        self.library.local_settings = h2.settings.Settings(client=False, initial_values=dict(self.server.settings))
        self.library.initiate_connection()
        self.flush()
        try:
            while data := await self.reader.read(1 << 16):
                self.received += data if self.server.keeps else b""
                for event in self.library.receive_data(data):
                    self._handle(event)
                self.flush()
        finally:
            for task in self._tasks:
                task.cancel()
            for result in await asyncio.gather(*self._tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, ConnectionError | h2.exceptions.H2Error):
                    self.server.errors.append(result)

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = [(str(name), str(value)) for name, value in event.headers]
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id, headers)
            self.server.seen.append(stream)
            self._tasks.append(asyncio.ensure_future(self.server.handler(self.server, stream)))
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id].body.put_nowait(event.data)
            if self.server.acknowledges:
                self.library.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.streams[event.stream_id].body.put_nowait(None)
        elif isinstance(event, h2.events.StreamReset):
            self.streams[event.stream_id].reset.set_result(int(event.error_code or 0))
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._opened.set()


class Http2Server:
    """A server on 127.0.0.1 in a thread of its own. ``handler`` and ``settings`` may be exchanged at any time."""

    def __init__(self, ca: trustme.CA, *names: str, handler: Handler = echo, alpn: tuple[str, ...] = ("h2",)) -> None:
        self.handler = handler
        self.settings: dict[h2.settings.SettingCodes, int] = {}
        self.acknowledges = True
        self.keeps = False
        self.seen: list[Stream] = []
        self.connections: list[Connection] = []
        self.errors: list[Exception] = []
        self.ended = threading.Event()
        """For handlers and tests to tell each other something."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*names).configure_cert(self._context)
        self._context.set_alpn_protocols(alpn)
        self.loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self._server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._started.set()
        self.loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        with contextlib.suppress(ConnectionError, h2.exceptions.H2Error, ssl.SSLError):
            await connection.run()
        connection.flush()
        writer.close()

    def call(self, function: Callable[[], None]) -> None:
        """Runs ``function`` where the connections live."""
        done = threading.Event()

        def run() -> None:
            try:
                function()
            finally:
                done.set()

        self.loop.call_soon_threadsafe(run)
        done.wait(10)

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
