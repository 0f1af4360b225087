"""A connection to a server without a socket: the library is the server, and what is not allowed is written by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import Encoder

from outward.core import Destination, Injection, Request, UpstreamError
from outward.credentials import CredentialStore
from outward.credentials.injector import Injector
from outward.gateway.http1 import ResponseHead, parse_request
from outward.gateway.http2.upstream import Http2Upstream
from outward.policy import SecretSpec

if TYPE_CHECKING:
    from h2.events import Event

    from outward.gateway.http2.upstream_stream import Http2UpstreamStream

KEY = "value-123456"
SPECS = {"key": SecretSpec("key", "env", "KEY", None, None, "PLACEHOLDER-1")}
HEADER = Injection("header", ("key",), name="x-api-key", template="{key}")


def injector() -> Injector:
    store = CredentialStore(SPECS, environment={"KEY": KEY})
    asyncio.run(store.get("key"))
    one = Injector(Destination("api.test", "api.test", 443, "https", (), (HEADER,)), store)
    assert one.ready()
    return one


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class FakePool:
    def __init__(self) -> None:
        self.now = 0.0
        self.forgotten: list[object] = []

    def clock(self) -> float:
        return self.now

    def forget(self, connection: object) -> None:
        self.forgotten.append(connection)


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int) -> None: ...


class FakeExchange:
    """Notes what it is told; its client is itself."""

    def __init__(self) -> None:
        self.client = self
        self.upstream: Http2UpstreamStream
        self.interim: list[int] = []
        self.head: ResponseHead | None = None
        self.body = b""
        self.trailers = ""
        self.done = False
        self.error: UpstreamError | None = None
        self.held = False
        self.calls = 0
        self.request_done = True

    # -- ClientStream

    def pause_reading(self) -> None:
        self.held = True

    def resume_reading(self) -> None:
        self.held = False

    # -- Exchange

    def on_interim_response(self, head: ResponseHead) -> None:
        self.interim.append(head.status)

    def on_response(self, head: ResponseHead, payload: bytes, *, done: bool, trailers: str) -> None:
        assert self.head is None
        self.head = head
        self.on_response_data(payload, done=done, trailers=trailers)

    def on_response_data(self, payload: bytes, *, done: bool, trailers: str) -> None:
        assert not self.done
        assert self.error is None
        self.calls += 1
        self.body += payload
        if done:
            self.done, self.trailers = True, trailers
            if self.request_done:
                self.upstream.release()
            else:
                self.upstream.close()

    def on_upstream_error(self, error: UpstreamError) -> None:
        assert not self.done
        assert self.error is None
        self.error = error


class Server:
    """``connection`` is what is tested, ``library`` the server at its other end."""

    def __init__(self, **settings: int) -> None:
        self.pool = FakePool()
        self.transport = FakeTransport()
        destination = Destination("api.test", "api.test", 443, "https", ())
        self.connection = Http2Upstream(cast(Any, self.pool), ("default", destination, "api.test"))
        self.library = H2Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_inbound_headers=False,  # it would join empty cookies to something that it then takes offence at
            )
        )
        self.library.local_settings = Settings(
            client=False, initial_values={SettingCodes[name]: value for name, value in settings.items()}
        )
        self.encoder = Encoder()
        self.events: list[Event] = []
        self.connection.connection_made(cast(asyncio.Transport, self.transport))
        self.library.initiate_connection()
        self.settle()

    def settle(self) -> list[Event]:
        """Carries octets to and fro until nobody has anything to say. What the server got."""
        found: list[Event] = []
        while True:
            written, self.transport.written = self.transport.written, b""
            found += self.library.receive_data(written) if written else []
            data = self.library.data_to_send()
            if data and not self.connection.closed:
                self.connection.data_received(data)
            elif not self.transport.written:
                self.events += found
                return found

    def say(self, data: bytes) -> None:
        """Octets that the library would not write."""
        self.settle()
        self.connection.data_received(data)

    def headers(self, number: int, fields: list[tuple[bytes, bytes]], *, end: bool = False) -> bytes:
        block = self.library.encoder.encode(fields)
        return frame(1, block, flags=0x4 | end, stream=number)

    def ask(self, raw: str = "GET /a HTTP/1.1\nhost: api.test", path: str = "/a", query: str = "") -> FakeExchange:
        """A request that begins."""
        head = parse_request(raw.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n")
        exchange = FakeExchange()
        exchange.request_done = head.length == 0
        request = Request("default", head.method, "https", "api.test", 443, path, path, query)
        exchange.upstream = self.connection.stream()
        exchange.upstream.begin(cast(Any, exchange), head, request, injector())
        return exchange

    def answer(self, number: int, *fields: tuple[str, str], status: int = 200, end: bool = False) -> None:
        self.library.send_headers(number, [(":status", str(status)), *fields], end_stream=end)
        self.settle()
