"""Connections to servers: which may be used again, by whom, and how new ones are come by (docs/architecture.md, step 7)."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from outward.gateway.dial import HTTP1, NoCommonProtocol
from outward.gateway.http2.upstream import Http2Upstream
from outward.gateway.streams import NotHttp1
from outward.gateway.upstream import CLOSED, IDLE_TIME, UpstreamConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.core import Destination
    from outward.gateway.dial import Dialler
    from outward.gateway.streams import UpstreamStream
    from outward.gateway.turn import Turn
    from outward.gateway.upstream_proxy import ProxyChoice

IDLE_PER_KEY: Final = 64

MAX_KNOWN: Final = 1000
"""Servers of which is remembered what they speak."""

PoolKey: TypeAlias = "tuple[str, Destination, str]"
"""(agent, destination, host): connections are never shared between agents, nor between hosts of a wildcard."""


class _Spoken(Enum):
    """What a server was found to speak, where it does not go without saying."""

    HTTP1 = auto()
    """It chose HTTP/1.1, although HTTP/2 was offered."""
    HTTP2_ALONE = auto()
    """It did not agree to HTTP/1.1, or did not speak it."""


class Wish(Enum):
    """What an exchange would speak with a server."""

    HTTP1 = auto()
    """For a client of HTTP/1.1: HTTP/1.1 is offered alone, since it costs less. HTTP/2 with servers that know only that."""
    HTTP2 = auto()
    """For a client of HTTP/2: both are offered, and the server chooses."""
    UPGRADE = auto()
    """For a WebSocket, which goes upstream as an upgrade of HTTP/1.1 or not at all."""
    LAST = auto()
    """Where a server has not agreed to HTTP/1.1 and did not speak it: HTTP/2 is offered alone."""


_OFFER: Final = {
    # What is offered in the handshake.
    Wish.HTTP1: HTTP1,
    Wish.HTTP2: ("h2", *HTTP1),
    Wish.UPGRADE: HTTP1,
    Wish.LAST: ("h2",),
}


class Pool:
    """The connections of all agents: those of HTTP/1.1 while they are idle, those of HTTP/2 as long as they take requests."""

    def __init__(self, dialler: Dialler, turn: Turn, clock: Callable[[], float]) -> None:
        self.clock: Final = clock
        self.turn: Final = turn
        self.generation = 0
        """How often all that was open has been retired."""
        self._dialler: Final = dialler
        self._idle: Final[dict[PoolKey, deque[UpstreamConnection]]] = {}
        self._shared: Final[dict[PoolKey, list[Http2Upstream]]] = {}
        self._opening: Final[dict[PoolKey, asyncio.Task[None]]] = {}
        self._spoken: Final[dict[tuple[Destination, str], _Spoken]] = {}

    # -- what is there

    def get(self, key: PoolKey, wish: Wish) -> UpstreamStream | None:
        """The most recently used idle connection, or a stream of one that is shared, if there is one that is still good."""
        if wish is Wish.HTTP1:
            return self._connection(key) or (self._stream(key) if self._shares(key, wish) else None)
        if wish is Wish.HTTP2:
            return self._stream(key) or self._connection(key)
        if wish is Wish.LAST:
            return self._stream(key)
        # No proxy forwards a WebSocket, which needs a tunnel where others need none.
        return None if any(one.forwarding for one in self._idle.get(key, ())) else self._connection(key)

    def _connection(self, key: PoolKey) -> UpstreamConnection | None:
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            if not connection.closed and not connection.transport.is_closing() and connection.idle_until > self.clock():
                return connection
            connection.close()
        return None

    def _stream(self, key: PoolKey) -> UpstreamStream | None:
        for connection in self._shared.get(key, ()):
            if connection.has_room:
                return connection.stream()
        return None

    def put(self, connection: UpstreamConnection, idle_time: float) -> None:
        """Keeps an idle connection for ``idle_time`` seconds at most."""
        idle = self._idle.setdefault(connection.key, deque())
        outlived = connection.closed or connection.generation != self.generation
        if outlived or len(idle) >= IDLE_PER_KEY or idle_time <= 0:
            connection.close()
            return
        connection.idle_until = self.clock() + idle_time
        idle.append(connection)

    def forget(self, connection: UpstreamConnection | Http2Upstream) -> None:
        """The connection takes no more requests."""
        kept: deque[Any] | list[Any] | None = self._idle.get(connection.key)
        if isinstance(connection, Http2Upstream):
            kept = self._shared.get(connection.key)
        if kept and connection in kept:
            kept.remove(connection)

    # -- what is not there yet

    async def open(self, key: PoolKey, wish: Wish, choice: ProxyChoice) -> UpstreamStream:
        """A new connection, or a stream of a new one that serves many; through the proxy that ``choice`` has for it.

        Raises :class:`~outward.core.UpstreamError` or :class:`DialError`.
        """
        if wish is not Wish.LAST and not self._shares(key, wish):
            try:
                return await self._open_alone(key, wish, choice)
            except (NoCommonProtocol, NotHttp1):
                if wish is Wish.UPGRADE:
                    raise
                if wish is Wish.HTTP1:
                    wish = Wish.LAST
        while self._shares(key, wish):
            # Whoever comes while a connection is being opened waits for it, and shares its failure as well.
            await asyncio.shield(self._opening.get(key) or self._begin_opening(key, wish, choice))
            if (stream := self.get(key, wish)) is not None:
                if wish is Wish.LAST:
                    self._learn(key, _Spoken.HTTP2_ALONE)
                return stream
        return await self._open_alone(key, wish, choice)

    def mistook(self, key: PoolKey) -> None:
        """What was taken for a server of HTTP/1.1 did not speak it."""
        self._learn(key, _Spoken.HTTP2_ALONE)

    def _shares(self, key: PoolKey, wish: Wish) -> bool:
        """Whether one connection is to serve many, as far as it is known beforehand."""
        _, destination, host = key
        if destination.scheme != "https" or wish is Wish.UPGRADE:
            return False
        spoken = self._spoken.get((destination, host))
        if wish is Wish.HTTP1:
            return spoken is _Spoken.HTTP2_ALONE
        return wish is Wish.LAST or spoken is not _Spoken.HTTP1

    def _learn(self, key: PoolKey, spoken: _Spoken) -> None:
        server = key[1:]
        self._spoken.pop(server, None)
        if len(self._spoken) >= MAX_KNOWN:
            del self._spoken[next(iter(self._spoken))]  # the one that was learnt about longest ago
        self._spoken[server] = spoken

    async def _open_alone(self, key: PoolKey, wish: Wish, choice: ProxyChoice) -> UpstreamConnection:
        connection = await self._dial(key, wish, choice)
        if isinstance(connection, Http2Upstream):
            # It is not what it was when that was learnt, or chose what it was not offered.
            self._spoken.pop(key[1:], None)
            connection.close()
            raise NoCommonProtocol(key[2])
        return connection

    def _begin_opening(self, key: PoolKey, wish: Wish, choice: ProxyChoice) -> asyncio.Task[None]:
        task = self._opening[key] = asyncio.get_running_loop().create_task(self._open_shared(key, wish, choice))

        def opened(task: asyncio.Task[None]) -> None:
            del self._opening[key]
            if not task.cancelled():
                task.exception()  # is for those who wait, if they still do

        task.add_done_callback(opened)
        return task

    async def _open_shared(self, key: PoolKey, wish: Wish, choice: ProxyChoice) -> None:
        connection = await self._dial(key, Wish.LAST if wish is Wish.LAST else Wish.HTTP2, choice)
        if isinstance(connection, Http2Upstream):
            await connection.settle()
            self._shared.setdefault(key, []).append(connection)
        elif wish is Wish.LAST:
            connection.close()
            raise NoCommonProtocol(key[2])
        else:
            self._learn(key, _Spoken.HTTP1)
            self.put(connection, IDLE_TIME)

    async def _dial(self, key: PoolKey, wish: Wish, choice: ProxyChoice) -> UpstreamConnection | Http2Upstream:
        _, destination, host = key
        tls = destination.scheme == "https"
        dialled = await self._dialler.open(
            destination,
            host,
            lambda: _Either(self, key),
            choice,
            tls=tls,
            alpn=_OFFER[wish],
            forwardable=not tls and wish is not Wish.UPGRADE,
        )
        connection = dialled.protocol.chosen
        connection.address = dialled.address
        if connection.closed:
            raise connection.failure(CLOSED)
        if isinstance(connection, UpstreamConnection):
            connection.forwarding = dialled.forwarding
        return connection

    # -- the end

    def sweep(self, now: float) -> None:
        """Closes what has been idle for too long, or does not answer any more."""
        for key, idle in list(self._idle.items()):
            for connection in [one for one in idle if one.idle_until <= now]:
                idle.remove(connection)
                connection.close()
            if not idle:
                del self._idle[key]
        for key, shared in list(self._shared.items()):
            for one in list(shared):
                one.sweep(now)
            if not shared:
                del self._shared[key]

    def retire(self) -> None:
        """Nothing that is open now serves another request. Those in flight go on."""
        self.generation += 1
        self._spoken.clear()
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
        for shared in self._shared.values():
            for connection in list(shared):
                connection.retire()

    def close(self) -> None:
        """Closes all. Nobody waits for anything any more."""
        for task in self._opening.values():
            task.cancel()
        self.retire()


class _Either(asyncio.Protocol):
    """Stands in for the connection until the handshake has told what it speaks (RFC 9113 §3.2)."""

    def __init__(self, pool: Pool, key: PoolKey) -> None:
        self._pool: Final = pool
        self._key: Final = key
        self.chosen: UpstreamConnection | Http2Upstream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        tls = transport.get_extra_info("ssl_object")
        name = None if tls is None else tls.selected_alpn_protocol()
        if name == "h2":
            self.chosen = Http2Upstream(self._pool, self._key)
        else:
            self.chosen = UpstreamConnection(self._pool, self._pool.turn, self._key)
            self.chosen.agreed = tls is None or name is not None
        cast(asyncio.Transport, transport).set_protocol(self.chosen)
        self.chosen.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """What came with the handshake, where somebody else has done that."""
        self.chosen.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Likewise."""
        self.chosen.connection_lost(exc)
