"""A connection to a server: what goes out, what comes back, and what ends whom (RFC 9113)."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamReset, WindowUpdated
from h2.settings import SettingCodes
from hypothesis import example, given
from hypothesis import strategies as st

from outward.core import ClientError, UpstreamError
from outward.gateway.http1 import parse_request
from outward.gateway.http2 import upstream
from outward.gateway.http2.upstream import PING_TIME, QUIET_TIME
from outward.gateway.http2.upstream_stream import MAX_INTERIM, STREAM_WINDOW
from outward.gateway.streams import Unprocessed
from outward.gateway.upstream import IDLE_TIME
from tests.unit.gateway.http2.server import KEY, Server, frame

POST = "POST /a HTTP/1.1\nhost: api.test\ntransfer-encoding: chunked"


def sent(server: Server) -> dict[str, str]:
    """The last request's fields."""
    found = [event for event in server.events if isinstance(event, RequestReceived)]
    return {bytes(name).decode(): bytes(value).decode("latin-1") for name, value in found[-1].headers}


def has_room(server: Server) -> bool:
    return server.connection.has_room


def closed(server: Server) -> bool:
    return server.transport.closed


def body(server: Server) -> bytes:
    return b"".join(event.data for event in server.events if isinstance(event, DataReceived))


# -- requests


def test_the_settings() -> None:
    remote = Server().library.remote_settings
    assert remote.enable_push == 0
    assert remote.initial_window_size == STREAM_WINDOW
    assert remote.max_header_list_size == 64 * 1024


def test_the_request_is_written_anew() -> None:
    server = Server()
    raw = "GET /%61 HTTP/1.1\nHost: API.test\nAccept: */*\nX-Api-Key: mine\nTE: trailers, deflate\nConnection: X-Gone\nX-Gone: 1"
    server.ask(raw, query="b=c")
    server.settle()
    assert sent(server) == {
        ":method": "GET",
        ":scheme": "https",
        ":authority": "api.test",
        ":path": "/a?b=c",
        "accept": "*/*",
        "x-api-key": KEY,
        "accept-encoding": "identity",
        "te": "trailers",
    }


def test_nothing_of_a_request_stays_in_the_compression() -> None:
    """A credential in the table could be guessed at (RFC 7541 §7.1), and the table be made as large as the server likes."""
    server = Server(HEADER_TABLE_SIZE=2**31)
    server.library.decoder.max_allowed_table_size = 2**31
    for number in range(3):
        server.ask(f"GET /a HTTP/1.1\nhost: api.test\nx-number: {number}")
    server.settle()
    assert list(server.connection.library.encoder.header_table.dynamic_entries) == []


names = st.sampled_from(
    ["te", "cookie", "host", "connection", "upgrade", "x-a", "expect", "keep-alive", "trailer", "pragma"]
)
values = st.sampled_from(
    ["", "a", "trailers", "a, b", "\t a \t", "\xff\x80", "close", "100-continue", "x-a", "a:b", ";"]
)


@given(st.lists(st.tuples(names, values), max_size=6))
@example([("cookie", ""), ("cookie", "")])
def test_whatever_http1_can_say_can_be_said(fields: list[tuple[str, str]]) -> None:
    raw = "".join(f"\n{name}: {value}" for name, value in fields)
    try:
        parse_request(f"GET / HTTP/1.1\nhost: a{raw}".replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n")
    except ClientError:
        return
    server = Server()
    server.ask(f"GET / HTTP/1.1\nhost: a{raw}")
    server.settle()
    assert sent(server)[":path"] == "/a"


@pytest.mark.parametrize(
    ("raw", "length"),
    [
        ("GET /a HTTP/1.1\nhost: a", None),
        ("POST /a HTTP/1.1\nhost: a", "0"),
        ("POST /a HTTP/1.1\nhost: a\nContent-Length: 005", "5"),
        (POST, None),
    ],
)
def test_the_length_is_announced_as_it_is_known(raw: str, length: str | None) -> None:
    server = Server()
    server.ask(raw)
    server.settle()
    assert sent(server).get("content-length") == length


def test_a_body_waits_for_the_window() -> None:
    server = Server(INITIAL_WINDOW_SIZE=1000)
    exchange = server.ask(POST)
    exchange.upstream.send(b"x" * 2500, done=False)
    server.settle()
    assert (len(body(server)), exchange.held) == (1000, True)
    exchange.upstream.send(b"y", done=True)
    assert exchange.held, "also for what comes although it was told to wait"
    for allowed in (2000, 2501):
        server.library.increment_flow_control_window(1000, 1)
        server.settle()
        assert len(body(server)) == allowed
    assert (body(server)[-1:], exchange.held) == (b"y", False)


def test_a_window_that_shrinks_below_nothing() -> None:
    """RFC 9113 §6.9.2: what has been sent may be more than the window is now."""
    server = Server(INITIAL_WINDOW_SIZE=1000)
    exchange = server.ask(POST)
    exchange.upstream.send(b"x" * 1500, done=True)
    server.settle()
    server.library.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    server.settle()
    server.library.increment_flow_control_window(900, 1)
    server.settle()
    assert len(body(server)) == 1000
    server.library.increment_flow_control_window(1000, 1)
    server.settle()
    assert len(body(server)) == 1500


def test_streams_take_turns() -> None:
    server = Server(INITIAL_WINDOW_SIZE=1 << 20)
    exchanges = [server.ask(POST) for _ in range(4)]
    for exchange in exchanges:
        exchange.upstream.send(b"x" * 200_000, done=True)  # the connection's own window is 65,535
    server.settle()
    server.events.clear()
    server.library.increment_flow_control_window(4 * 16_384 * 3)
    server.settle()
    shares = {
        number: sum(len(e.data) for e in server.events if isinstance(e, DataReceived) and e.stream_id == number)
        for number in (1, 3, 5, 7)
    }
    assert len(set(shares.values())) == 1, shares


def test_a_server_that_reads_slowly_makes_the_client_wait() -> None:
    server = Server()
    exchange = server.ask(POST)
    server.connection.pause_writing()
    exchange.upstream.send(b"x" * 10, done=True)
    server.settle()
    assert (body(server), exchange.held) == (b"", True)
    server.connection.resume_writing()
    server.settle()
    assert (body(server), exchange.held) == (b"x" * 10, False)


# -- answers


def test_an_answer_that_comes_at_once_is_handed_over_at_once() -> None:
    server = Server()
    exchange = server.ask()
    server.settle()
    server.library.send_headers(1, [(":status", "200"), ("content-length", "5")])
    server.library.send_data(1, b"hello", end_stream=True)
    server.settle()
    assert (exchange.body, exchange.done, exchange.calls) == (b"hello", True, 1)
    assert exchange.head is not None
    assert (exchange.head.status, exchange.head.length) == (200, 5)


@given(st.lists(st.integers(0, 400), max_size=10))
def test_cuts_make_no_difference(cuts: list[int]) -> None:
    server = Server()
    exchange = server.ask()
    server.settle()
    server.library.send_headers(1, [(":status", "103"), ("link", "</a>")])
    server.library.send_headers(1, [(":status", "200"), ("x-a", "1"), ("set-cookie", "a"), ("set-cookie", "b")])
    server.library.send_data(1, b"hello ", pad_length=20)
    server.library.send_data(1, b"world")
    server.library.send_headers(1, [("grpc-status", "0")], end_stream=True)
    data = server.library.data_to_send()
    points = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    for start, end in itertools.pairwise(points):
        server.connection.data_received(data[start:end])
    assert (exchange.interim, exchange.body, exchange.trailers) == ([103], b"hello world", "grpc-status: 0\r\n")
    assert exchange.head is not None
    assert [line for _, line in exchange.head.lines] == ["x-a: 1", "set-cookie: a", "set-cookie: b"]
    assert not server.connection.closed


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_without_a_body(method: str) -> None:
    server = Server()
    exchange = server.ask(f"{method} /a HTTP/1.1\nhost: a")
    server.settle()
    server.answer(1, ("content-length", "5"), status=200 if method == "HEAD" else 304, end=True)
    assert (exchange.done, exchange.error) == (True, None)


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("no status", [(b"x", b"1")]),
        ("a status that is none", [(b":status", b"2000")]),
        ("101", [(b":status", b"101")]),
        ("two statuses", [(b":status", b"200"), (b":status", b"200")]),
        ("a late status", [(b"x", b"1"), (b":status", b"200")]),
        ("a request's field", [(b":status", b"200"), (b":path", b"/")]),
        ("upper case", [(b":status", b"200"), (b"X-A", b"1")]),
        ("a connection's field", [(b":status", b"200"), (b"connection", b"close")]),
        ("chunks", [(b":status", b"200"), (b"transfer-encoding", b"chunked")]),
        ("a line end", [(b":status", b"200"), (b"x", b"1\r\nset-cookie: a")]),
        ("a NUL", [(b":status", b"200"), (b"x", b"\0")]),
        ("two lengths", [(b":status", b"200"), (b"content-length", b"1"), (b"content-length", b"2")]),
        ("a length that is none", [(b":status", b"200"), (b"content-length", b"+1")]),
        ("no name", [(b":status", b"200"), (b"", b"x")]),
        ("too many fields", [(b":status", b"200"), *[(b"x-%d" % n, b"") for n in range(201)]]),
    ],
)
def test_answers_that_are_none(what: str, fields: list[tuple[bytes, bytes]]) -> None:
    server = Server()
    exchange = server.ask()
    server.say(server.headers(1, fields))
    assert exchange.error is not None, what
    assert exchange.head is None


@pytest.mark.parametrize(
    ("length", "text", "well"), [(5, b"hello", True), (4, b"hello", False), (6, b"hello", False), (1, b"", False)]
)
def test_an_answer_is_as_long_as_it_says(length: int, text: bytes, well: bool) -> None:
    server = Server()
    exchange = server.ask()
    head = server.headers(1, [(b":status", b"200"), (b"content-length", b"%d" % length)])
    server.say(head + (frame(0, text, stream=1) if text else b""))
    server.say(server.headers(1, [(b"x", b"1")], end=True))  # trailers, so that the end is not in a DATA frame
    assert (exchange.done, exchange.error is None) == (well, well)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_must_have_none(status: int) -> None:
    server = Server()
    exchange = server.ask()
    server.say(server.headers(1, [(b":status", b"%d" % status)]) + frame(0, b"x", flags=1, stream=1))
    assert exchange.error is not None


@pytest.mark.parametrize(("count", "well"), [(MAX_INTERIM, True), (MAX_INTERIM + 1, False)])
def test_answers_before_the_answer_are_counted(count: int, well: bool) -> None:
    """They are not held back by any window (CVE-2019-9517)."""
    server = Server()
    exchange = server.ask()
    server.settle()
    for _ in range(count):
        server.library.send_headers(1, [(":status", "103")])
    server.settle()
    assert (exchange.error is None) is well
    assert len(exchange.interim) == MAX_INTERIM


def test_a_client_that_reads_slowly_holds_back_its_own_stream_only() -> None:
    server = Server()
    slow, fast = server.ask(), server.ask()
    server.settle()
    slow.upstream.pause_reading()
    for number in (1, 3):
        server.library.send_headers(number, [(":status", "200")])
        for _ in range(STREAM_WINDOW // 16_384):
            server.library.send_data(number, bytes(16_384))
    found = server.settle()
    assert len(slow.body) == len(fast.body) == STREAM_WINDOW, "what is on its way arrives"
    opened = {event.stream_id for event in found if isinstance(event, WindowUpdated)}
    assert 3 in opened
    assert 1 not in opened
    assert server.library.local_flow_control_window(1) == 0
    slow.upstream.resume_reading()
    assert any(isinstance(event, WindowUpdated) and event.stream_id == 1 for event in server.settle())


def test_the_connection_s_window_is_given_back_by_streams_that_end() -> None:
    server = Server()
    before = server.connection.library.inbound_flow_control_window
    for number in range(1, 401, 2):
        exchange = server.ask()
        server.settle()
        exchange.upstream.pause_reading()
        server.library.send_headers(number, [(":status", "200")])
        for _ in range(STREAM_WINDOW // 16_384):
            server.library.send_data(number, bytes(16_384))
        server.settle()
        exchange.upstream.close()
        server.settle()
    assert server.connection.library.inbound_flow_control_window >= before // 2


# -- ends


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ErrorCodes.REFUSED_STREAM, Unprocessed),
        (ErrorCodes.CANCEL, UpstreamError),
        (ErrorCodes.NO_ERROR, UpstreamError),
    ],
)
def test_a_reset_ends_one_exchange(code: ErrorCodes, kind: type[UpstreamError]) -> None:
    server = Server()
    exchange, other = server.ask(), server.ask()
    server.settle()
    server.library.reset_stream(1, code)
    server.settle()
    assert type(exchange.error) is kind
    server.answer(3, end=True)
    assert other.done


def test_a_reset_after_the_answer_changes_nothing() -> None:
    """RFC 9113 §8.1: a server that needs no more of the request."""
    server = Server()
    exchange = server.ask(POST)
    server.settle()
    server.library.send_headers(1, [(":status", "200")], end_stream=True)
    server.library.reset_stream(1, ErrorCodes.NO_ERROR)
    server.settle()
    assert (exchange.done, exchange.error) == (True, None)
    exchange.upstream.send(b"too late", done=True)
    assert body(server) == b""


def test_an_exchange_that_is_given_up_resets_its_stream_only() -> None:
    server = Server()
    exchange, other = server.ask(), server.ask()
    server.settle()
    exchange.upstream.close()
    (reset,) = [event for event in server.settle() if isinstance(event, StreamReset)]
    assert (reset.stream_id, reset.error_code) == (1, ErrorCodes.CANCEL)
    # What was on its way is nobody's, and nobody's fault.
    server.say(server.headers(1, [(b":status", b"200")]) + frame(0, b"late", stream=1))
    server.answer(3, end=True)
    assert (exchange.head, other.done) == (None, True)


def goaway(last: int, code: int = 0) -> bytes:
    return frame(7, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def test_a_goaway_lets_those_go_on_that_the_server_has_seen() -> None:
    server = Server()
    seen, unseen = server.ask(), server.ask()
    server.say(goaway(1))
    assert isinstance(unseen.error, Unprocessed)
    assert (seen.error, has_room(server)) == (None, False)
    assert server.connection in server.pool.forgotten
    assert not closed(server)
    server.answer(1, ("x", "1"))
    server.library.send_data(1, b"to the end", end_stream=True)
    server.connection.data_received(server.library.data_to_send())
    assert (seen.body, seen.done) == (b"to the end", True)
    assert closed(server), "nobody needs it any more"


def test_a_goaway_in_two_steps() -> None:
    server = Server()
    exchange = server.ask()
    server.say(goaway(2**31 - 1))
    assert (exchange.error, has_room(server)) == (None, False)
    server.say(goaway(0, ErrorCodes.ENHANCE_YOUR_CALM))
    assert isinstance(exchange.error, Unprocessed)


def test_a_connection_that_is_lost_ends_all_exchanges() -> None:
    server = Server()
    exchanges = [server.ask(), server.ask()]
    server.connection.connection_lost(None)
    for exchange in exchanges:
        assert type(exchange.error) is UpstreamError
    assert not has_room(server)


def test_a_connection_takes_as_many_as_the_server_does() -> None:
    server = Server(MAX_CONCURRENT_STREAMS=2)
    first = server.ask()
    assert has_room(server)
    server.ask()
    assert not has_room(server)
    server.settle()
    server.answer(1, end=True)
    assert (first.done, has_room(server)) == (True, True)


def test_a_server_without_limits_gets_no_more_than_ours() -> None:
    server = Server()
    for _ in range(upstream.MAX_STREAMS):
        assert has_room(server)
        server.ask()
    assert not has_room(server)


def test_a_server_that_takes_no_requests() -> None:
    server = Server(MAX_CONCURRENT_STREAMS=0)
    with pytest.raises(UpstreamError, match="takes no requests"):
        asyncio.run(server.connection.settle())
    assert closed(server)


def test_a_dead_connection_is_found_out() -> None:
    server = Server()
    server.pool.now = QUIET_TIME + 1
    exchange = server.ask()
    server.transport.written = b""  # nobody is there
    server.connection.sweep(server.pool.now + PING_TIME)
    assert not closed(server)
    server.connection.sweep(server.pool.now + PING_TIME + 1)
    assert exchange.error is not None
    assert closed(server)


def test_a_quiet_connection_that_answers_is_not_dead() -> None:
    server = Server()
    server.pool.now = QUIET_TIME + 1
    exchange = server.ask()
    server.settle()
    server.connection.sweep(server.pool.now + PING_TIME + 1)
    assert (exchange.error, server.transport.closed) == (None, False)


def test_an_idle_connection_ends() -> None:
    server = Server()
    exchange = server.ask()
    server.settle()
    server.connection.sweep(IDLE_TIME * 10)
    assert not closed(server), "it is not idle"
    server.pool.now = 5.0
    server.answer(1, end=True)
    assert exchange.done
    for now in (20.0, 30.0):
        server.pool.now = now
        server.say(frame(6, bytes(8)))  # a PING does not keep it
    server.connection.sweep(5.0 + IDLE_TIME)
    assert not closed(server)
    server.connection.sweep(5.0 + IDLE_TIME + 1)
    assert closed(server)
    assert server.connection in server.pool.forgotten


# -- attacks


def _settings(count: int, **pairs: int) -> bytes:
    return (
        frame(4, b"".join(SettingCodes[k].to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in pairs.items())) * count
    )


WINDOW = frame(8, (1).to_bytes(4, "big"), stream=1)


FLOODS = [
    ("pings (CVE-2019-9512)", frame(6, bytes(8)) * 2000),
    ("resets of nothing (CVE-2019-9514)", frame(3, bytes(4), stream=1) * 2000),
    ("settings (CVE-2019-9515)", _settings(2000)),
    ("settings that change windows", _settings(1000, INITIAL_WINDOW_SIZE=1)),
    ("empty frames (CVE-2019-9518)", frame(0, stream=1) * 2000),
    ("windows octet by octet (CVE-2019-9511)", WINDOW * 2000),
    ("priorities (CVE-2019-9513)", frame(2, bytes(4) + b"\x01", stream=1) * 2000),
    ("what nobody knows", frame(0xBB, b"x") * 2000),
    ("answers that nobody waits for", frame(1, b"\x88", flags=4, stream=3) * 3000),
    ("bodies that nobody waits for", frame(0, b"x", stream=3) * 3000),
    ("a header block without an end (CVE-2024-27316)", frame(1, b"", stream=1) + frame(9, b"", stream=1) * 100),
    (
        "fields out of the table (CVE-2016-6581)",
        frame(1, b"\x88\x40\x01a\x7f\xe1\x1e" + b"x" * 4000 + b"\xbe" * 100, flags=4, stream=1),
    ),
]


@pytest.mark.parametrize(("what", "data"), FLOODS)
def test_floods_end_the_connection(what: str, data: bytes) -> None:
    server = Server()
    exchange, gone = server.ask(), server.ask()
    server.say(server.headers(1, [(b":status", b"200")]))
    gone.upstream.close()
    server.settle()
    written = len(server.transport.written)
    server.connection.data_received(data)
    assert closed(server), what
    assert exchange.error is not None
    assert len(server.transport.written) - written < 20_000, "and there is no flood of replies"


@pytest.mark.parametrize(("what", "data"), FLOODS[:10])
def test_the_library_alone_takes_floods(what: str, data: bytes) -> None:
    server = Server()
    _, gone = server.ask(), server.ask()
    server.say(server.headers(1, [(b":status", b"200")]))
    gone.upstream.close()
    server.settle()
    server.connection.library.receive_data(data)
    assert not closed(server), what


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("a promise", frame(5, (2).to_bytes(4, "big") + b"\x82\x84\x87", flags=4, stream=1)),
        ("a stream of its own", frame(1, b"\x82\x84\x87\x01\x01a", flags=4, stream=2)),
        ("an answer that nobody asked for", frame(1, b"\x88", flags=4, stream=99)),
        ("a body that nobody asked for", frame(0, b"x", stream=99)),
        ("a body before the answer", frame(0, b"x", stream=1)),
        ("too wide a window for all", frame(8, (2**31 - 1).to_bytes(4, "big"))),
        ("too wide windows by settings", _settings(1, INITIAL_WINDOW_SIZE=2**31)),
        ("a window of nothing", frame(8, bytes(4))),
        ("more than the window", frame(1, b"\x88", flags=4, stream=1) + frame(0, bytes(16_384), stream=1) * 17),
        ("a frame that is too long", (16_385).to_bytes(3, "big") + b"\0\0\0\0\0\1"),
        ("a header block that is cut", frame(1, b"\x88\x40", flags=4, stream=1)),
        ("another frame within a header block", frame(1, b"\x88", stream=1) + frame(6, bytes(8))),
        ("not HTTP/2 at all", b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(20_000)),
    ],
)
def test_what_is_not_allowed_ends_the_connection(what: str, data: bytes) -> None:
    server = Server()
    exchange = server.ask()
    server.settle()
    exchange.upstream.pause_reading()  # what is not taken is not acknowledged
    server.connection.data_received(data)
    assert closed(server), what
    assert exchange.error is not None
    assert not exchange.done


def test_too_wide_a_window_for_one_ends_one() -> None:
    """RFC 9113 §6.9.1."""
    server = Server()
    exchange, other = server.ask(POST), server.ask()
    server.say(frame(8, (2**31 - 1).to_bytes(4, "big"), stream=1))
    assert exchange.error is not None
    server.answer(3, end=True)
    assert other.done


def test_a_server_may_say_something_for_nothing() -> None:
    """The bounds are far from what is normal."""
    server = Server()
    for number in range(1, 1001, 2):
        exchange = server.ask(POST)
        exchange.upstream.send(b"x" * 100, done=True)
        server.settle()
        windows = frame(8, (100).to_bytes(4, "big"), stream=number) + frame(8, (100).to_bytes(4, "big"))
        server.connection.data_received(windows + frame(6, bytes(8)))
        server.answer(number, end=True)
        assert exchange.done
    assert not closed(server)
