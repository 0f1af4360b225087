"""The gateway: what its connections share, its life and its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, Protocol

from outward.core.summary import Summary
from outward.gateway.dial import Dialler
from outward.gateway.dns.serving import Questions
from outward.gateway.ledger import Ledger
from outward.gateway.listeners import Listener
from outward.gateway.memory import GIVE_BACK_EVERY, give_back, settle
from outward.gateway.pool import Pool
from outward.gateway.ruleset import Ruleset
from outward.gateway.signing import Room
from outward.gateway.turn import Turn, next_step

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from outward.credentials import CredentialStore
    from outward.gateway.dns.resolver import Resolver
    from outward.gateway.listeners import Front
    from outward.gateway.turn import Recorder
    from outward.pki import Authority
    from outward.policy import Policy

SWEEP_EVERY: Final = 5.0
"""Seconds between looks for connections that have not moved; one timer for all of them."""


class Connection(Protocol):
    """A client's connection, as far as the gateway's life is concerned."""

    def drain(self) -> None:
        """Takes no more requests; ends in order with what is in flight."""
        ...

    def abort(self) -> None:
        """Ends it at once."""
        ...

    def sweep(self, now: float) -> None:
        """Ends it if nothing has moved for too long."""
        ...


class Part(Protocol):
    """What takes something in for a gateway."""

    def close(self) -> None:
        """Takes nothing more."""
        ...

    async def wait_closed(self) -> None:
        """Waits for what it has taken."""
        ...


class Gateway:
    """Decides, injects, forwards, redacts and records for all its listeners, in one event loop.

    An asynchronous context manager; leaving it drains (see :meth:`close`).
    """

    def __init__(
        self,
        *,
        policy: Policy,
        store: CredentialStore,
        authority: Authority,
        journal: Recorder,
        ids: str = "",
        soon: Callable[[Callable[[], None]], object] = next_step,
    ) -> None:
        """``ids`` is what the identities of exchanges begin with, where a session has several gateways.

        ``soon`` calls what ends a turn (:class:`~outward.gateway.turn.Turn`).
        """
        self.ruleset = Ruleset(policy, store)
        self.authority: Final = authority
        self.journal: Final = journal
        self.turn: Final = Turn(journal, soon)
        self.dialler: Final = Dialler()
        self.summary: Final = Summary()
        self.ledger: Final = Ledger(journal, self.turn, self.summary, ids)
        self.clients: Final[set[Connection]] = set()
        self.streams = 0
        """Requests in flight on connections that carry several."""
        self.gathered: Final = Room()
        self.draining = False
        self.clock: Final = time.monotonic
        self.pool: Final = Pool(self.dialler, self.turn, self.clock)
        self._parts: list[Part] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._give_back_at = 0.0
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Gateway:
        settle()
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(SWEEP_EVERY, self._sweep)
        await self.ruleset.store.prepare()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def listen_on(self, sock: socket.socket, front: Front) -> None:
        """Serves a listening socket from now on; the gateway owns it. ``front`` says what its clients speak."""
        self._parts.append(Listener(self, sock, front))

    def answer_on(self, sock: socket.socket, resolver: Resolver) -> None:
        """Answers questions for names that come to a datagram socket from now on; the gateway owns it."""
        self._parts.append(Questions(self, sock, resolver))

    async def replace(self, policy: Policy, store: CredentialStore) -> None:
        """All-or-nothing reload: requests that begin from then on are decided by ``policy``."""
        await store.prepare()
        self.ruleset = Ruleset(policy, store)
        self.pool.retire()

    async def close(self, grace: float = 2.0) -> None:
        """Stops accepting, lets requests in flight end for ``grace`` seconds, then closes everything."""
        self.draining = True
        for part in self._parts:
            part.close()
        for client in list(self.clients):
            client.drain()
        if not self.clients:
            self._idle.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        for client in list(self.clients):
            client.abort()
        for part in self._parts:
            await part.wait_closed()
        await asyncio.sleep(0)  # lets connection_lost run, which stages the last records
        self.turn.end()
        self.pool.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    # -- used by connections and exchanges

    def joined(self, connection: Connection) -> None:
        """A connection has begun."""
        self.clients.add(connection)

    def left(self, connection: Connection) -> None:
        """A connection has ended."""
        self.clients.discard(connection)
        if self.draining and not self.clients:
            self._idle.set()

    @property
    def load(self) -> int:
        """Connections, and streams on them: what is bounded by :data:`~outward.gateway.listeners.MAX_CONNECTIONS`."""
        return len(self.clients) + self.streams

    def _sweep(self) -> None:
        now = self.clock()
        for client in list(self.clients):
            client.sweep(now)
        self.pool.sweep(now)
        if now >= self._give_back_at:
            self._give_back_at = now + GIVE_BACK_EVERY
            give_back()
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._sweep)
