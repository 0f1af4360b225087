"""A client of HTTP/2 without a socket: it writes frames octet by octet and reads what comes back."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

from outward.credentials import CredentialStore
from outward.gateway.gateway import Gateway
from outward.gateway.http2.connection import Http2Connection
from outward.gateway.routes import TunnelRoute
from outward.gateway.upstream import UpstreamConnection
from tests.unit.gateway.test_idle import FakeJournal, FakeTransport
from tests.unit.policy.conftest import make_policy

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = SettingsFrame(0).serialize()
POLICY = "version: 1\ndestinations: [{host: a, allow: ['* /v1/**']}]"

_policy = cache(make_policy)

Fields = list[tuple[bytes, bytes]]


def request(method: bytes = b"GET", path: bytes = b"/v1/x", *more: tuple[bytes, bytes]) -> Fields:
    return [(b":method", method), (b":scheme", b"https"), (b":authority", b"a"), (b":path", path), *more]


REFUSED = request(path=b"/elsewhere")
"""A request that is answered at once: 403."""


class Peer:
    """The client's end of a connection to a real gateway; no servers behind it but those that :meth:`server` adds."""

    def __init__(self, *, begun: bool = True) -> None:
        self.now = 0.0
        self.policy = _policy(POLICY)
        self.journal = FakeJournal()
        store = CredentialStore({}, environment={})
        nobody = cast(Any, None)
        # A turn ends when the test says so.
        self.gateway = Gateway(
            policy=self.policy, store=store, authority=nobody, journal=self.journal, soon=lambda end: None
        )
        cast(Any, self.gateway).clock = lambda: self.now
        self.connection = Http2Connection(self.gateway, TunnelRoute("https", "a", 443, "a"), "default")
        self.transport = FakeTransport()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.next = 1
        self.connection.connection_made(cast(Any, self.transport))
        if begun:
            self.send(PREFACE + SETTINGS)
            self.frames()

    def server(self) -> tuple[UpstreamConnection, FakeTransport]:
        """A server's connection that the next request will be given."""
        key = ("default", self.policy.destinations[0], "a")
        server, transport = UpstreamConnection(self.gateway.pool, self.gateway.turn, key), FakeTransport()
        server.connection_made(cast(Any, transport))
        self.gateway.pool.put(server, 1e9)
        return server, transport

    def send(self, data: bytes) -> None:
        """``data`` arrives at the gateway."""
        self.hear(self.connection, data)

    def hear(self, connection: Http2Connection | UpstreamConnection, data: bytes) -> None:
        """``data`` arrives at one of its connections; a turn ends."""
        connection.data_received(data)
        self.gateway.turn.end()

    def block(self, fields: Fields) -> bytes:
        return self.encoder.encode(fields)

    def headers(self, stream: int, fields: Fields, *flags: str) -> bytes:
        """A HEADERS frame; with ``END_HEADERS`` and ``END_STREAM`` unless other flags are given."""
        return HeadersFrame(stream, self.block(fields), flags=flags or ("END_HEADERS", "END_STREAM")).serialize()

    def open(self, fields: Fields | None = None, *, end: bool = False) -> int:
        """A new stream."""
        stream, self.next = self.next, self.next + 2
        flags = ("END_HEADERS", "END_STREAM") if end else ("END_HEADERS",)
        self.send(self.headers(stream, fields or request(b"POST"), *flags))
        return stream

    def frames(self) -> list[Frame]:
        """What has been written since the last look."""
        data, self.transport.written = memoryview(self.transport.written), b""
        out: list[Frame] = []
        while data:
            frame, length = Frame.parse_frame_header(data[:9])
            frame.parse_body(data[9 : 9 + length])
            out.append(frame)
            data = data[9 + length :]
        return out

    def outcome(self, stream: int = 1) -> str:
        """In one word what has become of ``stream``, or of the connection."""
        words: list[str] = []
        for frame in self.frames():
            if isinstance(frame, GoAwayFrame):
                return f"goaway {frame.error_code}"
            if frame.stream_id != stream:
                continue
            if isinstance(frame, HeadersFrame):
                fields = dict(self.decoder.decode(frame.data, raw=True))
                words.append(fields.get(b":status", b"trailers").decode())
            elif isinstance(frame, RstStreamFrame):
                words.append(f"reset {frame.error_code}")
            elif isinstance(frame, DataFrame) and "END_STREAM" in frame.flags:
                words.append("end")
        return ", ".join(words) or "nothing"


def continuation(stream: int, data: bytes, *flags: str) -> bytes:
    return ContinuationFrame(stream, data, flags=flags).serialize()
