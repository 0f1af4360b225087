"""The server's side of HTTP/2: one connection, a stream for every exchange (RFC 9113)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from outward.core import UpstreamError
from outward.gateway.http1 import MAX_HEAD
from outward.gateway.http2.frames import PROTOCOL_ERROR, Allowance, FrameError, FrameReader, Goaway
from outward.gateway.http2.upstream_stream import STREAM_WINDOW, Http2UpstreamStream, error_name
from outward.gateway.streams import Unprocessed
from outward.gateway.upstream import CLOSED, IDLE_TIME, bounded

if TYPE_CHECKING:
    from outward.gateway.pool import Pool, PoolKey

MAX_STREAMS: Final = 100
"""Requests at once on a connection, if the server takes as many. Those beyond get a connection of their own."""

CONNECTION_WINDOW: Final = 2 * MAX_STREAMS * STREAM_WINDOW
"""Octets of all answers together that a server may send before we take them.

A client that reads slowly holds back the window of its own stream only (RFC 9113 §5.2.2). The connection's is twice the sum
of all of them, since the library gives back octets by the half window: it is never what stops a stream. Memory is bounded by
the streams' windows.
"""

SETTINGS_TIME: Final = 10.0
"""Seconds for a server that has agreed to HTTP/2 to begin with it."""

QUIET_TIME: Final = 30.0
"""Seconds of silence after which a connection is tried with a PING when it is used again."""

PING_TIME: Final = 10.0
"""Seconds for the answer. Then the connection is dead, and whoever waits on it is told."""

REPLY: Final = 13
"""Octets of a RST_STREAM. So many that the library makes by itself in reply cost the server what a frame for nothing does:
whatever it is that provokes them (CVE-2019-9512, 9514, 9515)."""

STEP: Final = 16 * 1024
"""Octets that are worked on before it is looked whether they are a flood."""

EARNED_BY_REQUEST: Final = 10
"""Frames for nothing that a server may send for each request."""


class _Library(H2Connection):
    """How the last streams ended is remembered; by the library's own number that would take 10 MB."""

    MAX_CLOSED_STREAMS = 1000


class Http2Upstream(asyncio.Protocol):
    """A connection that serves many exchanges of one agent at once. What concerns one of them is its stream's affair.

    What a server does that the protocol does not allow, or far too often, ends the connection with all its exchanges.
    """

    def __init__(self, pool: Pool, key: PoolKey) -> None:
        self.key: Final = key
        self.address = ""
        self.transport: asyncio.Transport
        self.closed = False
        self.library: Final = _Library(H2Configuration(client_side=True))
        self.allowance: Final = Allowance(pool.clock())
        self.write_paused = False
        self._pool: Final = pool
        self._reader: Final = FrameReader(self.allowance)
        self._streams: Final[dict[int, Http2UpstreamStream]] = {}
        self._settled: Final = asyncio.Event()
        self._reason = CLOSED
        self._retired = False
        self._receiving = False
        self._windows_changed = False
        self._out = b""
        self._heard = pool.clock()
        self._idle_since = self._heard
        self._pinged: float | None = None

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the preface (RFC 9113 §3.4)."""
        self.transport = bounded(transport)
        library = self.library
        library.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
            },
        )
        library.initiate_connection()
        library.increment_flow_control_window(CONNECTION_WINDOW - library.inbound_flow_control_window)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Hands each stream what is its own, all at once."""
        if self.closed:
            return
        self._heard = self._pool.clock()
        self._pinged = None
        self._receiving = True
        try:
            self._receive(data)
        except FrameError as error:
            self._out = b""  # not what a flood has provoked
            self.library.close_connection(error.code)
            self._fail(error.message)
        except H2Error as error:
            self._fail(f"the server breaks HTTP/2: {error}")
        finally:
            self._receiving = False
        self._close_if_done()
        self.flush()

    def eof_received(self) -> bool:
        """There are no half-closed connections in HTTP/2."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends all exchanges."""
        self._end()

    def pause_writing(self) -> None:
        """The server reads slowly: whoever has more to send waits."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The server has caught up."""
        self.write_paused = False
        self._pump()
        self.flush()

    # -- used by the pool

    async def settle(self) -> None:
        """Waits for the server's settings, which say how many requests it takes. Raises :class:`UpstreamError`."""
        try:
            await asyncio.wait_for(self._settled.wait(), SETTINGS_TIME)
        except TimeoutError:
            self._fail("the server has agreed to HTTP/2 and does not begin with it")
        if not self.closed and not self.has_room:
            self._fail("the server takes no requests")
        if self.closed:
            raise self.failure(self._reason)

    @property
    def has_room(self) -> bool:
        """Whether another request may be sent on this connection."""
        library = self.library
        return (
            not self._retired
            and not self.transport.is_closing()
            and len(self._streams) < min(MAX_STREAMS, library.remote_settings.max_concurrent_streams)
            and library.highest_outbound_stream_id < library.HIGHEST_ALLOWED_STREAM_ID - 1
        )

    def stream(self) -> Http2UpstreamStream:
        """For one exchange. It has to begin at once, or somebody else may take the room."""
        return Http2UpstreamStream(self)

    def failure(self, message: str) -> UpstreamError:
        """What to say of a connection that has come to nothing."""
        return UpstreamError(message)

    def retire(self) -> None:
        """Takes no more requests; closes when those in flight have ended."""
        self._retired = True
        self._pool.forget(self)
        self._close_if_done()

    def sweep(self, now: float) -> None:
        """Closes what has been idle for too long, or does not answer any more."""
        if self._pinged is not None and now - self._pinged > PING_TIME:
            self._fail("the server does not answer any more")
        elif not self._streams and now - self._idle_since > IDLE_TIME:
            self.retire()

    def close(self) -> None:
        """Closes the connection; what is in flight is lost."""
        self.library.close_connection()
        self._fail(CLOSED)

    # -- used by the streams

    def enter(self, stream: Http2UpstreamStream) -> int:
        """The number of a stream that begins."""
        now = self._pool.clock()
        if now - self._heard > QUIET_TIME and self._pinged is None:
            self.library.ping(b"outward?")
            self._pinged = now
        number = self.library.get_next_available_stream_id()
        self._streams[number] = stream
        self.allowance.earn(EARNED_BY_REQUEST)
        return number

    def leave(self, number: int) -> None:
        """A stream has ended."""
        self._streams.pop(number, None)
        self._idle_since = self._pool.clock()
        if not self._receiving:
            self._close_if_done()

    def flush(self) -> None:
        """Writes what the library has to say; while something is being received, only afterwards."""
        if not self._receiving and not self.closed:
            self._keep()
            if self._out:
                out, self._out = self._out, b""
                self.transport.write(out)

    def _keep(self) -> None:
        self._out += self.library.data_to_send()

    # -- what the server sends

    def _receive(self, data: bytes) -> None:
        touched: dict[int, Http2UpstreamStream] = {}
        for start in range(0, len(data), STEP):
            for run in self._reader.feed(data[start : start + STEP], self._heard):
                if isinstance(run, Goaway):
                    self._on_goaway(run)
                else:
                    self._receive_frames(run, touched)
        for stream in touched.values():
            stream.deliver()
        if self._windows_changed:
            self._windows_changed = False
            self._pump()

    def _receive_frames(self, run: bytes, touched: dict[int, Http2UpstreamStream]) -> None:
        self._keep()
        found = self.library.receive_data(run)
        # What is in the library now are replies that it makes by itself.
        before = len(self._out)
        self._keep()
        self.allowance.spend((len(self._out) - before) // REPLY, self._heard)
        for event in found:
            self._handle(event, touched)

    def _handle(self, event: events.Event, touched: dict[int, Http2UpstreamStream]) -> None:
        match event:
            case events.WindowUpdated():
                self._windows_changed = True
                return
            case events.RemoteSettingsChanged():
                self._windows_changed = True
                self._settled.set()
                return
            case events.RequestReceived() | events.PushedStreamReceived():
                raise FrameError(PROTOCOL_ERROR, "the server begins a stream of its own")
            case events.DataReceived() if event.stream_id not in self._streams:
                # For a stream that we have reset just now.
                self.library.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                return
        number = getattr(event, "stream_id", None)
        stream = None if number is None else self._streams.get(number)
        if stream is not None and stream.take(event):
            touched[stream.number] = stream

    def _on_goaway(self, goaway: Goaway) -> None:
        """RFC 9113 §6.8: streams that the server has not seen are free to go elsewhere, the others go on."""
        if goaway.code != ErrorCodes.NO_ERROR:
            self._reason = f"the server ended the connection ({error_name(goaway.code)})"
        self._retired = True
        self._pool.forget(self)
        for number, stream in list(self._streams.items()):
            if number > goaway.last_stream:
                stream.fail(Unprocessed("the server is going away"))

    def _pump(self) -> None:
        """Sends what has waited for a window, a frame of each stream in turn."""
        waiting = held = [stream for stream in self._streams.values() if stream.waiting]
        while waiting:
            waiting = [stream for stream in waiting if stream.push() and stream.waiting]
        for stream in held:
            stream.caught_up()

    # -- the end

    def _close_if_done(self) -> None:
        if self._retired and not self._streams and not self.closed:
            self.close()

    def _fail(self, reason: str) -> None:
        """Says goodbye, if the library has something to say, and ends."""
        if not self.closed:
            self._reason = reason
            self._keep()
            self.transport.write(self._out)
            self.transport.close()
            self._end()

    def _end(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._retired = True
        self._pool.forget(self)
        self._settled.set()
        for stream in list(self._streams.values()):
            stream.fail(self.failure(self._reason))
