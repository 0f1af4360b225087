"""The server's side of RFC 9113, frame by frame; each line of the tables names its section."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from outward.gateway.client import EXCHANGE_TIME, HEAD_TIME, KEEP_TIME
from outward.gateway.http2 import connection as limits
from outward.gateway.http2.frames import BURST
from outward.gateway.http2.stream import BUFFERED
from outward.gateway.listeners import MAX_CONNECTIONS
from tests.unit.gateway.http2.peer import PREFACE, REFUSED, SETTINGS, Peer, continuation, request

if TYPE_CHECKING:
    from collections.abc import Callable

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CALM = 5, 6, 7, 11


def raw(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def settings_frame(**values: int) -> bytes:
    return SettingsFrame(
        0, settings={getattr(SettingsFrame, name): value for name, value in values.items()}
    ).serialize()


def goaway(code: int) -> str:
    return f"goaway {code}"


@pytest.fixture
def peer() -> Peer:
    return Peer()


# -- what is in order


def test_the_first_frame_is_settings() -> None:
    """§3.4; the limits are announced (§6.5.2), and that WebSockets may be opened (RFC 8441 §3)."""
    peer = Peer(begun=False)
    first, window = peer.frames()
    assert isinstance(first, SettingsFrame)
    assert first.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    assert first.settings[SettingsFrame.MAX_HEADER_LIST_SIZE] == 65_536
    assert first.settings[SettingsFrame.ENABLE_CONNECT_PROTOCOL] == 1
    assert first.settings.get(SettingsFrame.ENABLE_PUSH, 0) == 0
    assert isinstance(window, WindowUpdateFrame)
    assert 65_535 + window.window_increment == limits.CONNECTION_WINDOW


def test_settings_and_pings_are_acknowledged(peer: Peer) -> None:
    """§6.5.3 and §6.7."""
    peer.send(SETTINGS + PingFrame(0, b"12345678").serialize() + PingFrame(0, b"answered", flags=["ACK"]).serialize())
    acknowledged, pong = peer.frames()
    assert isinstance(acknowledged, SettingsFrame)
    assert "ACK" in acknowledged.flags
    assert isinstance(pong, PingFrame)
    assert (pong.opaque_data, "ACK" in pong.flags) == (b"12345678", True)


@pytest.mark.parametrize(
    ("section", "what", "octets", "outcome"),
    [
        ("4.1", "an unknown frame is ignored", lambda p: raw(0xFE, b"x", stream=1) + p.headers(1, REFUSED), "403, end"),
        ("4.1", "unknown flags are ignored", lambda p: _flagged(p.headers(1, REFUSED), 0x50), "403, end"),
        ("4.1", "the reserved bit is ignored", lambda p: _reserved(p.headers(1, REFUSED)), "403, end"),
        ("4.3", "a block in pieces", lambda p: _pieces(p, REFUSED), "403, end"),
        ("5.1.1", "numbers may be left out", lambda p: p.headers(5, REFUSED), "nothing"),
        ("6.1", "padding", lambda p: p.headers(1, REFUSED, "END_HEADERS") + _padded(1), "403, end"),
        ("6.2", "priority is read over", lambda p: _prioritised(p, depends_on=3), "403, end"),
        ("6.3", "so is a PRIORITY frame", lambda p: PriorityFrame(3).serialize() + p.headers(1, REFUSED), "403, end"),
        ("6.5.2", "an unknown setting", lambda p: raw(4, b"\0\xff\0\0\0\1") + p.headers(1, REFUSED), "403, end"),
        ("6.8", "a GOAWAY lets streams go on", lambda p: p.headers(1, REFUSED) + _goaway(), "403, end, goaway"),
        ("8.1", "an answer before the end", lambda p: p.headers(1, REFUSED, "END_HEADERS"), "403, end, reset 0"),
        ("8.1", "a 400 is an answer too", lambda p: p.headers(1, request(b"get")), "400, end"),
        (
            "8.1.1",
            "malformed and not ended",
            lambda p: p.headers(1, request(b"get"), "END_HEADERS"),
            "400, end, reset 0",
        ),
        (
            "8.5",
            "CONNECT in a tunnel",
            lambda p: p.headers(1, [(b":method", b"CONNECT"), (b":authority", b"b:1")]),
            "400, end",
        ),
    ],
)
def test_what_is_in_order(peer: Peer, section: str, what: str, octets: Callable[[Peer], bytes], outcome: str) -> None:
    peer.send(octets(peer))
    if outcome.endswith(", goaway"):
        assert peer.transport.closed
        assert any(isinstance(frame, HeadersFrame) for frame in peer.frames())
    else:
        assert not peer.transport.closed
        assert peer.outcome() == outcome


# -- what is not


@pytest.mark.parametrize(
    ("section", "what", "octets", "outcome"),
    [
        ("4.2", "a DATA frame over the limit", lambda p: raw(0, bytes(16_385), stream=1), goaway(FRAME_SIZE_ERROR)),
        ("4.2", "of which only the header has come", lambda p: b"\xff\xff\xff\0\0\0\0\0\1", goaway(FRAME_SIZE_ERROR)),
        ("4.2", "a SETTINGS frame over the limit", lambda p: raw(4, bytes(16_386)), goaway(FRAME_SIZE_ERROR)),
        ("4.3", "a block that is no HPACK", lambda p: raw(1, b"\xff" * 9, flags=5, stream=1), goaway(PROTOCOL_ERROR)),
        ("4.3", "an index that is empty", lambda p: raw(1, b"\xbe", flags=5, stream=1), goaway(PROTOCOL_ERROR)),
        (
            "4.3",
            "a block with a frame in between",
            lambda p: p.headers(1, REFUSED, "END_STREAM") + SETTINGS,
            goaway(PROTOCOL_ERROR),
        ),
        (
            "4.3",
            "a block with another's end",
            lambda p: p.headers(1, REFUSED, "END_STREAM") + continuation(3, b"", "END_HEADERS"),
            goaway(PROTOCOL_ERROR),
        ),
        ("5.1", "DATA on an idle stream", lambda p: raw(0, b"x", stream=1), goaway(PROTOCOL_ERROR)),
        ("5.1", "RST_STREAM on an idle stream", lambda p: raw(3, bytes(4), stream=1), goaway(PROTOCOL_ERROR)),
        ("5.1", "WINDOW_UPDATE on an idle stream", lambda p: raw(8, b"\0\0\0\1", stream=1), goaway(PROTOCOL_ERROR)),
        (
            "5.1",
            "CONTINUATION on an idle stream",
            lambda p: continuation(1, b"\x82", "END_HEADERS"),
            goaway(PROTOCOL_ERROR),
        ),
        ("5.1", "HEADERS on a stream that has ended", lambda p: 2 * p.headers(1, request()), f"reset {STREAM_CLOSED}"),
        ("5.1.1", "an even number", lambda p: p.headers(2, REFUSED), goaway(PROTOCOL_ERROR)),
        (
            "5.1.1",
            "a number that is too low",
            lambda p: p.headers(5, REFUSED) + p.headers(3, REFUSED),
            goaway(PROTOCOL_ERROR),
        ),
        ("5.3.1", "a stream that depends on itself", lambda p: _prioritised(p, depends_on=1), goaway(PROTOCOL_ERROR)),
        ("6.1", "DATA on stream 0", lambda p: raw(0, b"x"), goaway(PROTOCOL_ERROR)),
        (
            "6.1",
            "padding longer than the frame",
            lambda p: p.headers(1, request(b"POST"), "END_HEADERS") + raw(0, b"\x09x", flags=8, stream=1),
            goaway(PROTOCOL_ERROR),
        ),
        ("6.2", "HEADERS on stream 0", lambda p: raw(1, b"\x82", flags=5), goaway(PROTOCOL_ERROR)),
        ("6.3", "PRIORITY on stream 0", lambda p: raw(2, bytes(5)), goaway(PROTOCOL_ERROR)),
        ("6.3", "PRIORITY of another length", lambda p: raw(2, bytes(4), stream=1), goaway(FRAME_SIZE_ERROR)),
        ("6.4", "RST_STREAM on stream 0", lambda p: raw(3, bytes(4)), goaway(PROTOCOL_ERROR)),
        ("6.4", "RST_STREAM of another length", lambda p: raw(3, bytes(3), stream=1), goaway(FRAME_SIZE_ERROR)),
        ("6.5", "SETTINGS on a stream", lambda p: raw(4, stream=1), goaway(PROTOCOL_ERROR)),
        ("6.5", "SETTINGS with half a setting", lambda p: raw(4, bytes(3)), goaway(FRAME_SIZE_ERROR)),
        ("6.5", "an acknowledgement with settings", lambda p: raw(4, bytes(6), flags=1), goaway(PROTOCOL_ERROR)),
        ("6.5.2", "ENABLE_PUSH of two", lambda p: settings_frame(ENABLE_PUSH=2), goaway(PROTOCOL_ERROR)),
        (
            "6.5.2",
            "a window over 2^31-1",
            lambda p: settings_frame(INITIAL_WINDOW_SIZE=1 << 31),
            goaway(FLOW_CONTROL_ERROR),
        ),
        ("6.5.2", "frames under 16,384", lambda p: settings_frame(MAX_FRAME_SIZE=16_383), goaway(PROTOCOL_ERROR)),
        ("6.5.2", "frames over 2^24-1", lambda p: settings_frame(MAX_FRAME_SIZE=1 << 24), goaway(PROTOCOL_ERROR)),
        (
            "6.6",
            "PUSH_PROMISE from a client",
            lambda p: PushPromiseFrame(1, 2, b"\x82", flags=["END_HEADERS"]).serialize(),
            goaway(PROTOCOL_ERROR),
        ),
        ("6.7", "PING on a stream", lambda p: raw(6, bytes(8), stream=1), goaway(PROTOCOL_ERROR)),
        ("6.7", "PING of another length", lambda p: raw(6, bytes(7)), goaway(FRAME_SIZE_ERROR)),
        ("6.8", "GOAWAY on a stream", lambda p: raw(7, bytes(8), stream=1), goaway(PROTOCOL_ERROR)),
        ("6.9", "WINDOW_UPDATE of nothing", lambda p: raw(8, bytes(4)), goaway(PROTOCOL_ERROR)),
        ("6.9", "WINDOW_UPDATE of another length", lambda p: raw(8, bytes(3)), goaway(FRAME_SIZE_ERROR)),
        ("6.9.1", "a window beyond 2^31-1", lambda p: raw(8, b"\x7f\xff\xff\xff"), goaway(FLOW_CONTROL_ERROR)),
        (
            "6.10",
            "CONTINUATION on stream 0",
            lambda p: p.headers(1, REFUSED, "END_STREAM") + raw(9),
            goaway(PROTOCOL_ERROR),
        ),
        (
            "8.1.1",
            "more than was announced",
            lambda p: (
                p.headers(1, request(b"POST", b"/v1/x", (b"content-length", b"1")), "END_HEADERS")
                + raw(0, b"xx", stream=1)
            ),
            goaway(PROTOCOL_ERROR),
        ),
        (
            "8.1.1",
            "less than was announced",
            lambda p: (
                p.headers(1, request(b"POST", b"/v1/x", (b"content-length", b"3")), "END_HEADERS")
                + raw(0, b"xx", flags=1, stream=1)
            ),
            goaway(PROTOCOL_ERROR),
        ),
    ],
)
def test_what_is_not_in_order(section: str, what: str, octets: Callable[[Peer], bytes], outcome: str) -> None:
    peer = Peer()
    peer.server()
    peer.send(octets(peer))
    assert peer.outcome() == outcome
    assert peer.transport.closed == outcome.startswith("goaway")
    if peer.transport.closed:
        assert peer.journal.events[-1].code == "malformed_request", "what ends a connection is recorded"


def test_what_is_not_http2_is_not_answered() -> None:
    """§3.4: without the preface there is nobody to understand a GOAWAY."""
    peer = Peer(begun=False)
    peer.frames()
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert peer.transport.closed
    assert peer.frames() == []


def _flagged(frame: bytes, flags: int) -> bytes:
    return frame[:4] + bytes([frame[4] | flags]) + frame[5:]


def _reserved(frame: bytes) -> bytes:
    return frame[:5] + bytes([frame[5] | 0x80]) + frame[6:]


def _pieces(peer: Peer, fields: list[tuple[bytes, bytes]]) -> bytes:
    block = peer.block(fields)
    first = HeadersFrame(1, block[:3], flags=["END_STREAM"]).serialize()
    return first + continuation(1, block[3:4]) + continuation(1, block[4:], "END_HEADERS")


def _padded(stream: int) -> bytes:
    return DataFrame(stream, b"x", pad_length=200, flags=["PADDED", "END_STREAM"]).serialize()


def _prioritised(peer: Peer, *, depends_on: int) -> bytes:
    frame = HeadersFrame(1, peer.block(REFUSED), flags=["END_HEADERS", "END_STREAM", "PRIORITY"])
    frame.depends_on = depends_on
    return frame.serialize()


def _goaway() -> bytes:
    return GoAwayFrame(0).serialize()


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 11), st.binary(max_size=40), st.integers(0, 255), st.integers(0, 5)), max_size=6)
)
def test_any_frames_are_understood_or_end_the_connection(frames: list[tuple[int, bytes, int, int]]) -> None:
    peer = Peer()
    peer.server()
    for kind, payload, flags, stream in frames:
        peer.send(raw(kind, payload, flags=flags, stream=stream))
    peer.frames()


# -- windows


def data_of(frames: list[Frame]) -> bytes:
    return b"".join(frame.data for frame in frames if isinstance(frame, DataFrame))


def answer_with(peer: Peer, body: bytes) -> None:
    """A request on stream 1, answered with ``body`` by a server of HTTP/1.1."""
    server, _ = peer.server()
    peer.send(peer.headers(1, request()))
    peer.hear(server, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_no_more_is_sent_than_the_windows_allow(peer: Peer) -> None:
    """§6.9.1; the window of a stream and that of the connection."""
    body = bytes(range(256)) * 1024
    answer_with(peer, body)
    got = data_of(peer.frames())
    assert len(got) == 65_535
    peer.send(WindowUpdateFrame(1, window_increment=100_000).serialize())
    assert peer.frames() == [], "the connection's window is closed"
    peer.send(WindowUpdateFrame(0, window_increment=50_000).serialize())
    got += data_of(peer.frames())
    assert len(got) == 115_535
    peer.send(WindowUpdateFrame(0, window_increment=1_000_000).serialize())
    got += data_of(peer.frames())
    assert len(got) == 165_535
    peer.send(WindowUpdateFrame(1, window_increment=1_000_000).serialize())
    last = peer.frames()
    assert got + data_of(last) == body
    assert "END_STREAM" in last[-1].flags


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_window_of_almost_nothing(peer: Peer, size: int) -> None:
    """§6.9.2: a setting changes the windows of streams that are open, and may make them negative."""
    peer.send(settings_frame(INITIAL_WINDOW_SIZE=size))
    peer.frames()
    answer_with(peer, b"hello")
    assert len(data_of(peer.frames())) == size
    peer.send(settings_frame(INITIAL_WINDOW_SIZE=0))
    peer.send(WindowUpdateFrame(1, window_increment=size).serialize() if size else b"")
    assert data_of(peer.frames()) == b""
    peer.send(settings_frame(INITIAL_WINDOW_SIZE=5))
    assert len(data_of(peer.frames())) == 5 - size


def test_frames_are_as_long_as_the_client_takes_them(peer: Peer) -> None:
    """§6.5.2, MAX_FRAME_SIZE."""
    peer.send(settings_frame(MAX_FRAME_SIZE=20_000) + WindowUpdateFrame(0, window_increment=100_000).serialize())
    peer.frames()
    answer_with(peer, bytes(30_000))
    assert [len(one.data) for one in peer.frames() if isinstance(one, DataFrame)] == [20_000, 10_000]


def test_streams_take_turns(peer: Peer) -> None:
    peer.send(settings_frame(INITIAL_WINDOW_SIZE=1_000_000))
    servers = [peer.server()[0] for _ in range(3)]
    for stream in (1, 3, 5):
        peer.send(peer.headers(stream, request()))
    for server in servers:
        peer.hear(server, b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + bytes(60_000))
    peer.frames()
    peer.send(WindowUpdateFrame(0, window_increment=65_536).serialize())
    assert [one.stream_id for one in peer.frames()] == [3, 1, 3, 1], "what one of them has left is shared"


def test_a_slow_client_makes_its_server_wait_and_no_other(peer: Peer) -> None:
    slow, slow_transport = peer.server()
    peer.send(peer.headers(1, request()))
    quick, quick_transport = peer.server()
    peer.send(peer.headers(3, request()))
    peer.hear(slow, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(65_535 + BUFFERED))
    states = [slow_transport.reading]
    peer.hear(slow, b"x")
    states.append(slow_transport.reading)
    assert states == [True, False], "so much is buffered, and no more"
    peer.send(WindowUpdateFrame(0, window_increment=1_000_000).serialize())
    peer.hear(quick, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert quick_transport.reading
    assert b"ok" in data_of(peer.frames())
    peer.send(WindowUpdateFrame(1, window_increment=1_000_000).serialize())
    assert slow_transport.reading


def test_a_slow_server_makes_its_stream_wait_and_no_other(peer: Peer) -> None:
    """§5.2: what is not acknowledged cannot be sent again; the connection's window is for all."""
    server, to_server = peer.server()
    peer.open()
    server.pause_writing()
    peer.frames()
    for _ in range(3):
        peer.send(raw(0, bytes(16_384), stream=1))
    assert peer.frames() == [], "nothing is acknowledged"
    peer.send(raw(0, bytes(16_384), stream=1))
    assert peer.outcome() == goaway(FLOW_CONTROL_ERROR), "and the window is kept to"
    assert to_server.closed


def test_a_server_that_has_caught_up_opens_the_window(peer: Peer) -> None:
    server, _ = peer.server()
    peer.open()
    server.pause_writing()
    for _ in range(3):
        peer.send(raw(0, bytes(16_384), stream=1))
    peer.frames()
    server.resume_writing()
    (update,) = peer.frames()
    assert isinstance(update, WindowUpdateFrame)
    assert (update.stream_id, update.window_increment) == (1, 3 * 16_384)


def test_streams_that_wait_leave_the_connection_open(peer: Peer) -> None:
    """Windows of streams that nobody serves must not add up to the connection's."""
    for _ in range(60):
        server, _ = peer.server()
        stream = peer.open()
        server.pause_writing()
        for size in (16_384, 16_384, 16_384, 16_383):
            peer.send(raw(0, bytes(size), stream=stream))
    _, to_server = peer.server()
    stream = peer.open()
    for _ in range(2 * limits.CONNECTION_WINDOW // 16_384):
        peer.send(raw(0, bytes(16_384), stream=stream))
        to_server.written = b""
    assert not peer.transport.closed


def test_what_a_reset_stream_held_back_is_given_back(peer: Peer) -> None:
    for _ in range(2 * limits.CONNECTION_WINDOW // 49_152):
        server, _ = peer.server()
        stream = peer.open()
        server.pause_writing()
        peer.send(3 * raw(0, bytes(16_384), stream=stream) + RstStreamFrame(stream).serialize())
        peer.now += 1.0
    assert not peer.transport.closed


# -- what is too much


def test_one_stream_too_many(peer: Peer) -> None:
    """§5.1.2: 100 may be open at once."""
    for _ in range(100):
        peer.server()
        peer.open()
    assert not peer.transport.closed
    peer.open()
    assert peer.transport.closed


def test_streams_count_as_connections(peer: Peer) -> None:
    peer.gateway.streams = MAX_CONNECTIONS - 2
    peer.server()
    stream = peer.open()
    assert peer.outcome(stream) == "nothing"
    stream = peer.open()
    assert peer.outcome(stream) == f"reset {REFUSED_STREAM}"
    peer.connection.connection_lost(None)
    assert peer.gateway.load == MAX_CONNECTIONS - 2, "all that it took is given back"


def resets(peer: Peer, count: int) -> int:
    """How many requests a client can begin and take back at once."""
    for number in range(count):
        peer.server()
        stream = peer.next
        peer.open()
        peer.send(RstStreamFrame(stream).serialize())
        if peer.transport.closed:
            return number
    return count


def test_rapid_reset(peer: Peer) -> None:
    """CVE-2023-44487: the number of open streams does not bound what is begun."""
    assert resets(peer, 10 * BURST) <= BURST
    assert peer.outcome() == goaway(CALM)


def test_rapid_reset_in_one_breath_begins_nothing(peer: Peer) -> None:
    _, to_server = peer.server()
    peer.send(b"".join(peer.headers(n, request()) + RstStreamFrame(n).serialize() for n in range(1, 201, 2)))
    assert to_server.written == b""


def test_without_the_limit_rapid_reset_goes_on(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(peer.connection.allowance), "spend", lambda *_: None)
    assert resets(peer, 3 * BURST) == 3 * BURST


@pytest.mark.parametrize(
    ("what", "provocation"),
    [
        ("a window that overflows", lambda n: raw(8, b"\x7f\xff\xff\xff", stream=n)),
        ("data after the end", lambda n: raw(0, b"", flags=1, stream=n) + raw(0, b"x", stream=n)),
    ],
)
def test_resets_that_are_provoked_count(peer: Peer, what: str, provocation: Callable[[int], bytes]) -> None:
    """MadeYouReset (CVE-2025-8671): the server resets, and the client has not sent a single RST_STREAM."""
    for _ in range(BURST):
        peer.server()
        peer.send(provocation(peer.open()))
        if peer.transport.closed:
            break
    assert peer.outcome() == goaway(CALM)


def test_a_header_bomb(peer: Peer) -> None:
    """CVE-2016-6581: a field in the table is one octet on the wire, as often as one likes."""
    bomb = peer.headers(1, request(b"GET", b"/v1/x", (b"x", bytes(97 for _ in range(3_900)))))
    peer.server()
    peer.send(bomb)
    assert not peer.transport.closed
    again = HeadersFrame(3, peer.block(request()) + b"\xbe" * 10_000, flags=["END_HEADERS", "END_STREAM"])
    peer.send(again.serialize())
    assert peer.outcome(3) == goaway(CALM)


def test_a_head_that_is_too_large(peer: Peer) -> None:
    fields = request(b"GET", b"/v1/x", *((b"x-%d" % n, b"y" * 1_000) for n in range(70)))
    block = peer.block(fields)
    cuts = [block[n : n + 16_000] for n in range(0, len(block), 16_000)]
    peer.send(HeadersFrame(1, cuts[0], flags=["END_STREAM"]).serialize())
    for cut in cuts[1:-1]:
        peer.send(continuation(1, cut))
    peer.send(continuation(1, cuts[-1], "END_HEADERS"))
    assert peer.outcome() == goaway(CALM)


def test_a_client_that_reads_nothing_is_owed_only_so_much(peer: Peer) -> None:
    """CVE-2019-9512, -9515: what acknowledges its frames would pile up, however slowly it sends them."""
    peer.connection.pause_writing()
    ping = PingFrame(0, bytes(8)).serialize()
    for _ in range(limits.MAX_OWED // len(ping) + 1):
        assert not peer.transport.closed
        peer.send(ping)
        peer.now += 1.0
    assert peer.transport.closed


def test_a_client_that_reads_nothing_gets_no_data(peer: Peer) -> None:
    """CVE-2019-9517: a window wide open, and a socket that takes nothing."""
    peer.send(
        settings_frame(INITIAL_WINDOW_SIZE=(1 << 31) - 1) + WindowUpdateFrame(0, window_increment=1 << 30).serialize()
    )
    peer.connection.pause_writing()
    server, to_server = peer.server()
    peer.send(peer.headers(1, request()))
    peer.frames()
    peer.hear(server, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(200_000))
    assert data_of(peer.frames()) == b""
    states = [to_server.reading]
    peer.connection.resume_writing()
    assert len(data_of(peer.frames())) == 200_000
    assert [*states, to_server.reading] == [False, True]


def test_dribbling_windows(peer: Peer) -> None:
    """CVE-2019-9511: every octet in a frame of its own."""
    peer.send(settings_frame(INITIAL_WINDOW_SIZE=0))
    answer_with(peer, bytes(100_000))
    for _ in range(3 * BURST):
        peer.send(WindowUpdateFrame(1, window_increment=1).serialize())
        if peer.transport.closed:
            break
    assert peer.outcome() == goaway(CALM)


# -- time


def swept(peer: Peer, now: float) -> bool:
    """Whether the connection outlives a look at it."""
    peer.now = now
    peer.connection.sweep(now)
    return not peer.transport.closed


def test_a_connection_without_streams_is_closed(peer: Peer) -> None:
    assert swept(peer, KEEP_TIME - 1)
    peer.send(PingFrame(0, bytes(8)).serialize())
    assert not swept(peer, KEEP_TIME + 1), "a ping is no use of it"
    assert peer.outcome(0) == goaway(NO_ERROR)


@pytest.mark.parametrize("begun", [PREFACE[:5], PREFACE + SETTINGS[:4]])
def test_a_beginning_that_does_not_go_on(begun: bytes) -> None:
    peer = Peer(begun=False)
    peer.send(begun)
    assert swept(peer, HEAD_TIME - 1)
    assert not swept(peer, HEAD_TIME + 1)


def test_a_header_block_that_does_not_go_on(peer: Peer) -> None:
    peer.send(peer.headers(1, request(), "END_STREAM"))
    assert not swept(peer, HEAD_TIME + 1)


def test_a_stream_in_which_nothing_moves_ends_alone(peer: Peer) -> None:
    _, to_server = peer.server()
    first = peer.open()
    peer.now = EXCHANGE_TIME / 2
    peer.server()
    second = peer.open()
    assert swept(peer, EXCHANGE_TIME + 1)
    assert to_server.closed
    frames = peer.frames()
    assert {one.stream_id for one in frames} == {first}
    assert second in peer.connection._streams


def test_a_window_that_stays_closed(peer: Peer) -> None:
    """Zero-window stall (CVE-2019-9511): an answer that nobody takes is not kept for ever."""
    peer.send(settings_frame(INITIAL_WINDOW_SIZE=0))
    answer_with(peer, b"hello")
    peer.frames()
    assert swept(peer, EXCHANGE_TIME + 1)
    assert peer.outcome().startswith("reset")


# -- the end


def test_draining_lets_streams_end(peer: Peer) -> None:
    """§6.8."""
    server, _ = peer.server()
    peer.send(peer.headers(1, request()))
    peer.connection.drain()
    (frame,) = peer.frames()
    assert isinstance(frame, GoAwayFrame)
    assert (frame.last_stream_id, frame.error_code) == (1, NO_ERROR)
    peer.send(peer.headers(3, REFUSED))
    assert peer.outcome(3) == f"reset {REFUSED_STREAM}", "it may be asked elsewhere"
    assert not peer.transport.closed
    peer.hear(server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert data_of(peer.frames()) == b"ok"
    assert peer.transport.closed


def test_draining_ends_what_is_idle(peer: Peer) -> None:
    peer.connection.drain()
    assert peer.outcome(0) == goaway(NO_ERROR)
    assert peer.transport.closed


def test_a_client_that_goes_takes_its_requests_along(peer: Peer) -> None:
    _, to_server = peer.server()
    peer.open()
    peer.connection.connection_lost(None)
    assert to_server.closed
    assert peer.journal.events[-1].error == "the client closed the connection"
    assert peer.gateway.load == 0


def test_a_client_that_resets_a_stream(peer: Peer) -> None:
    _, to_server = peer.server()
    stream = peer.open()
    peer.send(RstStreamFrame(stream, 8).serialize())
    assert to_server.closed
    assert not peer.transport.closed
    assert peer.gateway.streams == 0


@pytest.mark.parametrize("more", [(), ((b"content-type", b"application/grpc"),)])
def test_trailers_that_are_malformed(peer: Peer, more: tuple[tuple[bytes, bytes], ...]) -> None:
    """§8.1: no pseudo-header, and the same rules as in heads."""
    _, to_server = peer.server()
    stream = peer.open(request(b"POST", b"/v1/x", *more))
    peer.send(peer.headers(stream, [(b":path", b"/x")]))
    assert to_server.closed
    assert peer.outcome(stream).startswith("400")
    assert not peer.transport.closed
    assert peer.gateway.streams == 0


def test_trailers_that_are_malformed_after_the_answer_has_begun(peer: Peer) -> None:
    server, _ = peer.server()
    stream = peer.open()
    peer.hear(server, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
    peer.send(peer.headers(stream, [(b":path", b"/x")]))
    assert peer.outcome(stream) == f"200, reset {PROTOCOL_ERROR}"
    assert peer.gateway.streams == 0


def test_the_answer_of_one_who_has_gone_is_nobodys(peer: Peer) -> None:
    server, _ = peer.server()
    stream = peer.open()
    exchange = server.exchange
    assert exchange is not None
    peer.send(RstStreamFrame(stream).serialize())
    peer.frames()
    exchange.client.abort()
    exchange.client.close()
    assert peer.frames() == []
    assert not peer.transport.closed
