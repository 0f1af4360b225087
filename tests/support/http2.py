"""A client that speaks HTTP/2 through the gateway, by the library or octet by octet."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from h2.errors import ErrorCodes

    from tests.support.client import Connection
    from tests.support.serve import Serve

Fields = list[tuple[str, str]]


@dataclass
class Answered:
    """What has come on one stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    interim: list[int] = field(default_factory=list)
    body: bytes = b""
    trailers: dict[str, str] | None = None
    ended: bool = False
    reset: ErrorCodes | int | None = None

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The refusal's code."""
        return str(self.json()["error"]["code"])


class Http2Client:
    """One connection. With ``acknowledges`` off, windows are left to close."""

    def __init__(self, connection: Connection, host: str, *, acknowledges: bool = True) -> None:
        self.connection = connection
        self.host = host
        self.acknowledges = acknowledges
        self.h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding="latin-1",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # As real clients do: what is sent in pieces must not wait for the other side's delayed acknowledgements.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.streams: dict[int, Answered] = {}
        self.goaway: ConnectionTerminated | None = None
        self.closed = False
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Http2Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.sock.close()

    def flush(self) -> None:
        self.raw(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        try:
            self.connection.send(data)
        except (ConnectionError, ssl.SSLError):
            self.closed = True

    def fields(self, method: str, path: str, *more: tuple[str, str]) -> Fields:
        return [(":method", method), (":scheme", "https"), (":authority", self.host), (":path", path), *more]

    def begin(self, method: str, path: str, *more: tuple[str, str], end: bool = True) -> int:
        return self.begin_with(self.fields(method, path, *more), end=end)

    def begin_with(self, fields: Fields, *, end: bool = True) -> int:
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Answered()
        self.h2.send_headers(number, [(n.encode("latin-1"), v.encode("latin-1")) for n, v in fields], end_stream=end)
        self.flush()
        return number

    def send(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Sends as the windows open."""
        while True:
            answer = self.streams[number]
            size = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(data))
            if size or not data:
                self.h2.send_data(number, data[:size], end_stream=end and size == len(data))
                self.flush()
                data = data[size:]
                if not data:
                    return
            elif not self.receive() or answer.over:
                return

    def receive(self) -> bool:
        """Takes what comes next; whether the connection is still there."""
        try:
            data = self.connection.sock.recv(1 << 16)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()
        return True

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event
            return
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if stream is None:
            return
        if isinstance(event, InformationalResponseReceived):
            stream.interim.append(int(_named(event.headers)[":status"]))
        elif isinstance(event, ResponseReceived):
            stream.headers = _named(event.headers)
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, DataReceived):
            stream.body += event.data
            if self.acknowledges:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            stream.trailers = _named(event.headers)
        elif isinstance(event, StreamEnded):
            stream.ended = True
        elif isinstance(event, StreamReset):
            stream.reset = event.error_code

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if not self.receive():
                assert condition(), "the connection was closed"
                return

    def answer(self, number: int) -> Answered:
        """The whole answer, or what came of it before the stream was reset or the connection lost."""
        stream = self.streams[number]
        while not stream.over and self.receive():
            pass
        return stream

    def request(self, method: str, path: str, *more: tuple[str, str], body: bytes = b"") -> Answered:
        number = self.begin(method, path, *more, end=not body)
        if body:
            self.send(number, body, end=True)
        return self.answer(number)


def _named(fields: Any) -> dict[str, str]:
    return dict(fields)


def http2(gateway: Serve, host: str, *, acknowledges: bool = True, sni: str | None = "") -> Http2Client:
    """HTTP/2 to ``host`` inside CONNECT."""
    connection = gateway.tunnel(host, alpn=("h2",), sni=sni)
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.selected_alpn_protocol() == "h2"
    return Http2Client(connection, host, acknowledges=acknowledges)
