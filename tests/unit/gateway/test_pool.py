"""Which connections serve whom, and how many are opened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from outward.core import Code, Destination, UpstreamError
from outward.gateway.attempt import MAX_REPEATABLE, Attempt
from outward.gateway.denial import DialError
from outward.gateway.dial import Dialled, NoCommonProtocol
from outward.gateway.http1 import parse_request
from outward.gateway.pool import MAX_KNOWN, Pool, Wish
from outward.gateway.streams import NotHttp1, Unprocessed
from outward.gateway.turn import Turn
from outward.gateway.upstream import UpstreamConnection
from tests.unit.gateway.http2.server import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from outward.gateway.pool import PoolKey

DESTINATION = Destination("api.test", "api.test", 443, "https", ())
KEY: PoolKey = ("default", DESTINATION, "api.test")
PREFACE = frame(4)  # SETTINGS that say nothing


class FakeTransport:
    """A connection whose handshake chose ``alpn``."""

    def __init__(self, alpn: str | None) -> None:
        self.alpn = alpn
        self.closed = False
        self.protocol: Any = None

    def get_extra_info(self, name: str) -> Any:
        return self if name == "ssl_object" else None

    def selected_alpn_protocol(self) -> str | None:
        return self.alpn

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int) -> None: ...

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class FakeDialler:
    """A server that speaks ``speaks``, what it prefers first; ``None`` in it: it does not know ALPN."""

    def __init__(self, *speaks: str | None) -> None:
        self.speaks = speaks
        self.offers: list[tuple[str, ...]] = []
        self.says = PREFACE
        self.error: Exception | None = None

    async def open(
        self, destination: Destination, host: str, factory: Callable[[], Any], choice: object, **options: Any
    ) -> Dialled[Any]:
        self.offers.append(options["alpn"])
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        chosen = next((one for one in self.speaks if one is None or one in options["alpn"]), "none")
        if chosen == "none":
            raise NoCommonProtocol(host)
        protocol = factory()
        protocol.connection_made(FakeTransport(chosen))
        if chosen == "h2":
            protocol.chosen.data_received(self.says)
        return Dialled(protocol, "192.0.2.1:443")


def run(dialler: FakeDialler, work: Callable[[Pool], Coroutine[Any, Any, Any]]) -> Any:
    async def turn() -> Any:
        pool = Pool(cast(Any, dialler), Turn(cast(Any, None), soon=lambda end: None), lambda: 0.0)
        try:
            return await work(pool)
        finally:
            pool.close()

    return asyncio.run(turn())


async def acquire(pool: Pool, wish: Wish) -> Any:
    """As an exchange does: what there is, else what is opened."""
    upstream: Any = pool.get(KEY, wish) or await pool.open(KEY, wish, cast(Any, None))
    if not isinstance(upstream, UpstreamConnection):
        upstream.number = upstream._connection.enter(upstream)  # it begins
        head = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")]
        upstream._connection.library.send_headers(upstream.number, head, end_stream=True)
    return upstream


def many(count: int, wish: Wish) -> Callable[[Pool], Coroutine[Any, Any, Any]]:
    async def work(pool: Pool) -> Any:
        return await asyncio.gather(*(acquire(pool, wish) for _ in range(count)), return_exceptions=True)

    return work


def test_many_share_one_connection() -> None:
    dialler = FakeDialler("h2", "http/1.1")
    streams = run(dialler, many(50, Wish.HTTP2))
    assert dialler.offers == [("h2", "http/1.1")]
    assert len({stream.number for stream in streams}) == 50


def test_as_many_connections_as_the_server_s_limit_makes_necessary() -> None:
    dialler = FakeDialler("h2")
    dialler.says = frame(4, b"\0\x03" + (2).to_bytes(4, "big"))  # MAX_CONCURRENT_STREAMS
    streams = run(dialler, many(5, Wish.HTTP2))
    assert len(dialler.offers) == 3
    assert len({id(stream._connection) for stream in streams}) == 3


def test_whoever_waits_for_a_connection_shares_its_failure() -> None:
    dialler = FakeDialler("h2")
    dialler.error = DialError(Code.UPSTREAM_UNREACHABLE, "nobody is there")
    assert run(dialler, many(50, Wish.HTTP2)) == [dialler.error] * 50
    assert len(dialler.offers) == 1


def test_a_server_of_http1_is_asked_once_what_it_speaks() -> None:
    dialler = FakeDialler("http/1.1")
    connections = run(dialler, many(20, Wish.HTTP2))
    assert len(dialler.offers) == 20, "each needs one of its own"
    assert len(set(map(id, connections))) == 20


@pytest.mark.parametrize(
    ("speaks", "wish", "offers"),
    [
        (("h2", "http/1.1"), Wish.HTTP1, [("http/1.1",)]),
        ((None,), Wish.HTTP1, [("http/1.1",)]),
        (("h2",), Wish.HTTP1, [("http/1.1",), ("h2",)]),
        (("http/1.1",), Wish.UPGRADE, [("http/1.1",)]),
        (("h2",), Wish.LAST, [("h2",)]),
    ],
)
def test_what_is_offered(speaks: tuple[str | None, ...], wish: Wish, offers: list[tuple[str, ...]]) -> None:
    dialler = FakeDialler(*speaks)
    run(dialler, many(1, wish))
    assert dialler.offers == offers


@pytest.mark.parametrize(
    ("speaks", "wish"),
    [
        (("spdy",), Wish.HTTP1),
        (("spdy",), Wish.HTTP2),
        (("h2",), Wish.UPGRADE),
        ((None,), Wish.LAST),
        (("http/1.1",), Wish.LAST),
    ],
)
def test_what_cannot_be_had(speaks: tuple[str | None, ...], wish: Wish) -> None:
    (error,) = run(FakeDialler(*speaks), many(1, wish))
    assert isinstance(error, NoCommonProtocol)


def test_what_a_server_speaks_is_learnt_and_learnt_anew() -> None:
    dialler = FakeDialler("h2")

    async def work(pool: Pool) -> None:
        await acquire(pool, Wish.HTTP1)
        for connections in pool._shared.values():
            for one in list(connections):
                one.close()
        await acquire(pool, Wish.HTTP1)
        assert dialler.offers == [("http/1.1",), ("h2",), ("h2", "http/1.1")]
        for connections in pool._shared.values():
            for one in list(connections):
                one.close()
        dialler.speaks = ("http/1.1",)
        for _ in range(2):
            assert isinstance(await acquire(pool, Wish.HTTP1), UpstreamConnection)
        assert dialler.offers[3:] == [("h2", "http/1.1"), ("http/1.1",)]

    run(dialler, work)


def test_a_server_that_has_learnt_http2() -> None:
    dialler = FakeDialler("http/1.1")

    async def work(pool: Pool) -> None:
        assert isinstance(await acquire(pool, Wish.HTTP2), UpstreamConnection)
        dialler.speaks = ("h2", "http/1.1")
        for _ in range(2):
            assert (await acquire(pool, Wish.HTTP2)).number
        assert len(dialler.offers) == 3

    run(dialler, work)


def test_what_is_learnt_is_bounded() -> None:
    async def work(pool: Pool) -> None:
        for number in range(MAX_KNOWN + 2):
            pool.mistook(("default", DESTINATION, f"{number}.test"))
        known = [host for _, host in pool._spoken]
        assert (len(known), known[0], known[-1]) == (MAX_KNOWN, "2.test", f"{MAX_KNOWN + 1}.test")

    run(FakeDialler(), work)


def test_agents_and_hosts_share_nothing() -> None:
    dialler = FakeDialler("h2")

    async def work(pool: Pool) -> None:
        for key in (KEY, ("other", *KEY[1:]), (KEY[0], KEY[1], "b.api.test")):
            await pool.open(key, Wish.HTTP2, cast(Any, None))
        assert len(dialler.offers) == 3

    run(dialler, work)


def test_a_connection_that_is_retired_serves_nobody_new() -> None:
    dialler = FakeDialler("h2")

    async def work(pool: Pool) -> None:
        first = await acquire(pool, Wish.HTTP2)
        pool.retire()
        assert pool.get(KEY, Wish.HTTP2) is None
        assert not first._connection.closed, "what is in flight goes on"
        second = await acquire(pool, Wish.HTTP2)
        assert second._connection is not first._connection
        first.close()
        assert first._connection.closed

    run(dialler, work)


# -- sending a request once more

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


class FakeUpstream:
    def __init__(self, *, reused: bool = False) -> None:
        self.reused = reused
        self.sent: list[tuple[bytes, bool]] = []

    def send(self, payload: bytes, *, done: bool) -> None:
        self.sent.append((payload, done))


@pytest.mark.parametrize(
    ("raw", "error", "reused", "expected"),
    [
        (GET, UpstreamError("x"), True, True),
        (GET, UpstreamError("x"), False, False),
        (POST, UpstreamError("x"), True, False),
        (GET, Unprocessed("x"), False, True),
        (POST, Unprocessed("x"), False, True),
        (POST, NotHttp1("x"), False, True),
        (UPGRADE, NotHttp1("x"), False, False),
    ],
)
def test_what_is_sent_once_more(raw: str, error: UpstreamError, reused: bool, expected: bool) -> None:
    attempt = Attempt(parse_request(raw.encode()), http2=False)
    upstream: Any = FakeUpstream(reused=reused)
    assert attempt.again(upstream, error) is expected
    if expected and not reused:
        assert not attempt.again(upstream, error), "once"


@pytest.mark.parametrize(("size", "expected"), [(MAX_REPEATABLE, True), (MAX_REPEATABLE + 1, False)])
def test_a_body_is_sent_once_more_as_long_as_it_is_there(size: int, expected: bool) -> None:
    attempt = Attempt(parse_request(POST.encode()), http2=True)
    first: Any = FakeUpstream()
    attempt.keep(b"x")
    attempt.begin(first, done=False)
    attempt.pass_on(first, b"y" * (size - 1), done=True)
    assert attempt.again(first, Unprocessed("x")) is expected
    second: Any = FakeUpstream()
    attempt.begin(second, done=True)
    assert second.sent == ([(b"x" + b"y" * (size - 1), True)] if expected else [])


def test_an_empty_body_ends_as_well() -> None:
    attempt = Attempt(parse_request(POST.encode()), http2=False)
    attempt.keep(b"")
    upstream: Any = FakeUpstream()
    attempt.begin(upstream, done=True)
    assert upstream.sent == [(b"", True)]
