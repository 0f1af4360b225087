"""The client's side of HTTP/2: one connection, many streams (RFC 9113)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from outward.core import Code, Request
from outward.gateway.client import EXCHANGE_TIME, HEAD_TIME, KEEP_TIME
from outward.gateway.http1 import MAX_HEAD
from outward.gateway.http2.frames import Allowance, FrameError, FrameReader, Goaway
from outward.gateway.http2.stream import Http2Stream
from outward.gateway.listeners import MAX_CONNECTIONS
from outward.gateway.record import Record
from outward.gateway.turn import MAX_KEPT
from outward.gateway.upstream import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from h2.events import Event

    from outward.gateway.gateway import Gateway
    from outward.gateway.http2.heads import FieldLine
    from outward.gateway.routes import Route

PREFACE: Final = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

MAX_STREAMS: Final = 100
"""Requests at once on one connection; all connections together are bounded by ``MAX_CONNECTIONS``."""

STREAM_WINDOW: Final = 65_535
"""Octets of a request that may wait for a slow server. The client is close, so more would not make it faster."""

CONNECTION_WINDOW: Final = 2 * MAX_STREAMS * STREAM_WINDOW
"""Twice what all streams may hold back: acknowledgements are saved up to half of it, and the other half is enough for every
stream to be paused without keeping another from its own window."""

AT_ONCE: Final = 64 * 1024
"""Octets of frames that are handed to the socket together."""

MAX_OWED: Final = 256 * 1024
"""Octets of answers to what a client sends (acknowledgements, resets) while it reads nothing (CVE-2019-9512, -9515)."""

PROVOKED: Final = 2
"""What it costs a client to make us reset a stream (CVE-2025-8671), as much as resetting it itself."""


class _H2(H2Connection):
    # How many ended streams are remembered, to tell late frames from wrong ones. 65,536 are ten megabytes a connection.
    MAX_CLOSED_STREAMS = 1_000


class Http2Connection(asyncio.Protocol):
    """Makes an :class:`Http2Stream` of each request.

    What one stream does wrong ends that stream; what breaks the connection's common state ends all (GOAWAY). ``unused`` is called
    when a client goes that has begun none.
    """

    def __init__(self, gateway: Gateway, route: Route, agent: str, unused: Callable[[], None] | None = None) -> None:
        self.gateway: Final = gateway
        self.route: Final = route
        self.agent: Final = agent
        self.transport: asyncio.Transport
        now = gateway.clock()
        self.allowance: Final = Allowance(now)
        self.h2: Final = _h2()
        self._reader: Final = FrameReader(self.allowance, preface=PREFACE)
        self._unused: Final = unused
        self._streams: dict[int, Http2Stream] = {}
        self._waiting: dict[int, Http2Stream] = {}  # for a window or the socket, in turn
        self._settled: list[Http2Stream] = []
        self._write_paused = False
        self._kept = b""  # until the end of the turn
        self._receiving = False
        self._prompted = False  # what is written next is prompted by the client
        self._owed = 0
        self._highest = 0  # the last stream that was begun
        self._last: int | None = None  # the last stream that we promised to serve
        self._going = False  # the client wants no more streams
        self._closing = False
        self._last_activity = now
        self._idle_since = now

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.transport = bounded(transport)
        self.gateway.joined(self)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW - STREAM_WINDOW)
        self._write()

    def data_received(self, data: bytes) -> None:
        """Small pieces wait for the end of the turn, large ones are passed on at once."""
        self._last_activity = self.gateway.clock()
        self.take_up()
        if len(data) > MAX_KEPT:
            self._take(data)
        else:
            self._kept = data
            self.gateway.turn.arrived(self)

    def take_up(self) -> None:
        """See :class:`~outward.gateway.turn.Reader`."""
        data, self._kept = self._kept, b""
        if not data:
            return
        try:
            self._take(data)
        except BaseException:
            self.abort()
            raise

    def _take(self, data: bytes) -> None:
        """Frames of any streams."""
        if self._closing:
            return
        now = self.gateway.clock()
        self._receiving = True
        try:
            for part in self._reader.feed(data, now):
                if isinstance(part, Goaway):
                    self._going = True
                else:
                    self._handle(self.h2.receive_data(part), now)
        except FrameError as error:
            self._fail(error.message, error.code)
        except ProtocolError as error:
            self._fail(str(error))
        finally:
            self._receiving = False
        self._prompted = True
        self.write_soon()

    def eof_received(self) -> bool:
        """A client that has said all is gone."""
        self.take_up()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, and all of its requests with it."""
        self.take_up()
        if self._unused is not None and not self._highest and not self._closing:
            self._unused()
        self._closing = True
        self.gateway.left(self)
        self._lose_streams()

    def pause_writing(self) -> None:
        """The client reads slowly: streams fill up, and each lets its server wait."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._write_paused = False
        self._owed = 0
        self.write_soon()

    # -- events

    def _handle(self, events: Iterable[Event], now: float) -> None:
        # What has been reset by the end of this run must not be answered any more, so that comes first.
        reset: set[int] = set()
        for event in events:
            if isinstance(event, StreamReset):
                reset.add(event.stream_id)
                if not event.remote_reset:
                    self.allowance.spend(PROVOKED, now)
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    self._forget(stream)
                    stream.lost()
        for event in events:
            if isinstance(event, DataReceived):
                self._receive(event)
            elif isinstance(event, RequestReceived):
                if event.stream_id not in reset:
                    self._begin(event)
            elif isinstance(event, TrailersReceived):
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    stream.receive_trailers(event.headers)

    def _begin(self, event: RequestReceived) -> None:
        number = event.stream_id
        if self._last is not None or self.gateway.load >= MAX_CONNECTIONS:
            self.h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)  # the client may ask elsewhere
            return
        self._highest = number
        stream = self._streams[number] = Http2Stream(self, number)
        self.gateway.streams += 1
        stream.begin(event.headers, ended=event.stream_ended is not None)

    def _receive(self, event: DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            # Of a stream that has just ended: its octets still count for the connection.
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        else:
            stream.receive(event.data, event.flow_controlled_length, ended=event.stream_ended is not None)

    def _fail(self, message: str, code: int | None = None) -> None:
        """The connection's common state is lost, or its client is not to be served any more.

        ``code`` is what GOAWAY says; where it is not given, the library has said it.
        """
        scheme, host, port = self.route.origin
        unread = Request(self.agent, "", scheme, host, port, "", "")
        Record(self.gateway, "http").end(unread, None, code=Code.MALFORMED_REQUEST, error=message)
        if code is not None:
            self._goaway(code, message)
        self._write()
        self._closing = True
        self._lose_streams()
        self.transport.close()

    def _lose_streams(self) -> None:
        for stream in list(self._streams.values()):
            self._forget(stream)
            stream.lost()

    # -- used by streams

    def send_headers(self, stream: Http2Stream, fields: list[FieldLine], *, end: bool) -> None:
        """A field section of an answer. ``end``: there is nothing after it."""
        if not self._closing and stream.number in self._streams:
            stream.last_activity = self.gateway.clock()
            self.h2.send_headers(stream.number, fields, end_stream=end)

    def send(self, stream: Http2Stream) -> None:
        """Sends what ``stream`` has, after what others have been waiting with."""
        if stream.waiting and stream.number in self._streams:
            self._waiting[stream.number] = stream
        self.write_soon()

    def reset(self, stream: Http2Stream, code: ErrorCodes) -> None:
        """Ends a stream before its time."""
        if not self._closing and stream.number in self._streams:
            self.h2.reset_stream(stream.number, code)
        self._forget(stream)
        self.write_soon()

    def settle(self, stream: Http2Stream) -> None:
        """``stream`` has sent all, and nobody waits for more of its request."""
        self._settled.append(stream)

    def write_soon(self) -> None:
        """Writes at once; while events are worked on, after the last of them; in a turn, after the journal."""
        if self._receiving or self._closing:
            return
        if self.gateway.turn.taking_up:
            self.gateway.turn.writing(self)
        else:
            self.flush()

    def flush(self) -> None:
        """See :class:`~outward.gateway.turn.Writer`. As much as the socket takes, of each stream in turn."""
        if self._closing:
            return
        self._pump()
        settled, self._settled = self._settled, []
        for stream in settled:
            if stream.number in self._streams:
                if not stream.received:
                    self.h2.reset_stream(stream.number, ErrorCodes.NO_ERROR)  # RFC 9113 §8.1: stop sending
                self._forget(stream)
        self._write()
        if not self._streams and (self._going or self._last is not None):
            self.close()

    def _pump(self) -> None:
        waiting = self._waiting
        stuck, gathered = 0, 0
        while stuck < len(waiting) and not self._write_paused:
            number = next(iter(waiting))
            stream = waiting.pop(number)
            before = self.h2.outbound_flow_control_window
            stuck = 0 if stream.send_frame() else stuck + 1
            if stream.waiting:
                waiting[number] = stream
            gathered += before - self.h2.outbound_flow_control_window
            if gathered >= AT_ONCE:
                gathered = 0
                self._write()

    def _write(self) -> None:
        data = self.h2.data_to_send()
        prompted, self._prompted = self._prompted, False
        if prompted and self._write_paused:
            self._owed += len(data)
            if self._owed > MAX_OWED:
                self.abort()
                return
        if data:
            self.transport.write(data)

    def _forget(self, stream: Http2Stream) -> None:
        if self._streams.pop(stream.number, None) is not None:
            self._waiting.pop(stream.number, None)
            self.gateway.streams -= 1
            self._idle_since = self.gateway.clock()
            if not self._closing:
                stream.acknowledge()  # what it held back counts for the connection

    # -- its end

    def drain(self) -> None:
        """Takes no more streams; ends with the last of those in flight (RFC 9113 §6.8)."""
        self._goaway(ErrorCodes.NO_ERROR)
        if not self._streams:
            self.close()

    def _goaway(self, code: int, message: str = "") -> None:
        """Not by the library, which would take it for the end of the streams in flight."""
        if self._last is None or code:
            self._last = self._highest
            frame = GoAwayFrame(0, last_stream_id=self._last, error_code=code, additional_data=message.encode())
            self.transport.write(self.h2.data_to_send() + frame.serialize())

    def close(self) -> None:
        """Ends the connection in order."""
        if not self._closing:
            self._goaway(ErrorCodes.NO_ERROR)
            self._closing = True
            self.transport.close()

    def abort(self) -> None:
        """Ends it at once."""
        self._closing = True
        self.transport.abort()

    def sweep(self, now: float) -> None:
        """Ends what has not moved for too long: streams one by one, and the connection when it has none."""
        for stream in list(self._streams.values()):
            stream.sweep(now)
        idle = now - self._last_activity
        if self._streams:
            if self._reader.within and idle > EXCHANGE_TIME:
                self.abort()
        elif now - self._idle_since > KEEP_TIME or (self._reader.within and idle > HEAD_TIME):
            self.close()


def _h2() -> H2Connection:
    """The library's side. Field sections are checked in :mod:`outward.gateway.http2.heads`, where they are read."""
    connection = _H2(
        H2Configuration(
            client_side=False,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    connection.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
            SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
        },
    )
    return connection
