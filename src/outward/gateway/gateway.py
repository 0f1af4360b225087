"""The gateway: what its connections share, its life and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

from outward.core import JournalUnavailable, Refusal
from outward.core.summary import Summary
from outward.credentials.injector import Injector, find_leak
from outward.gateway.dial import Dialler
from outward.gateway.listeners import Listener
from outward.gateway.pool import Pool
from outward.gateway.turn import Turn
from outward.gateway.upstream_proxy import ProxyChoice

if TYPE_CHECKING:
    import socket

    from outward.core import Destination, Event
    from outward.credentials import CredentialStore
    from outward.gateway.http1 import RequestHead
    from outward.gateway.listeners import Front
    from outward.gateway.turn import Recorder
    from outward.pki import Authority
    from outward.policy import Policy

_log: Final = logging.getLogger(__name__)

SWEEP_EVERY: Final = 5.0
"""Seconds between looks for connections that have not moved; one timer for all of them."""


MAX_REFUSED: Final = 1000


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


class Ruleset:
    """A policy with its credentials: what a reload replaces as a whole. An exchange keeps the one it began with."""

    def __init__(self, policy: Policy, store: CredentialStore) -> None:
        self.policy: Final = policy
        self.store: Final = store
        self.proxies: Final = ProxyChoice(policy, store)
        self._injectors: Final = {destination: Injector(destination, store) for destination in policy.destinations}
        self.reads_headers: Final = any(rule.headers for d in policy.destinations for rule in d.rules)

    def injector(self, destination: Destination) -> Injector:
        """The injector of a destination of this policy."""
        return self._injectors[destination]

    def leak(self, head: RequestHead, *, bound: tuple[str, ...] = ()) -> str | None:
        """The name of a secret whose placeholder is in ``head`` and that is not in ``bound``."""
        return find_leak(self.store, head.text, head.authorization, bound)


class Gateway:
    """Decides, injects, forwards, redacts and records for all its listeners, in one event loop.

    An asynchronous context manager; leaving it drains (see :meth:`close`).
    """

    def __init__(
        self, *, policy: Policy, store: CredentialStore, authority: Authority, journal: Recorder, ids: str = ""
    ) -> None:
        """``ids`` is what the identities of exchanges begin with, where a session has several gateways."""
        self.ruleset = Ruleset(policy, store)
        self.authority: Final = authority
        self.journal: Final = journal
        self.turn: Final = Turn(journal, self.complain)
        self.dialler: Final = Dialler()
        self.summary: Final = Summary()
        self.clients: Final[set[Connection]] = set()
        self.streams = 0
        """Requests in flight on connections that carry several."""
        self.draining = False
        self.clock: Final = time.monotonic
        self.pool: Final = Pool(self.dialler, self.turn, self.clock)
        self._ids: Final = ids
        self._count = 0
        self._listeners: list[Listener] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._complained = False
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Gateway:
        _settle_memory()
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(SWEEP_EVERY, self._sweep)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def listen_on(self, sock: socket.socket, front: Front) -> None:
        """Serves a listening socket from now on; the gateway owns it. ``front`` says what its clients speak."""
        self._listeners.append(Listener(self, sock, front))

    def replace(self, policy: Policy, store: CredentialStore) -> None:
        """All-or-nothing reload: requests that begin from now on are decided by ``policy``."""
        self.ruleset = Ruleset(policy, store)
        self.pool.retire()

    async def close(self, grace: float = 2.0) -> None:
        """Stops accepting, lets requests in flight end for ``grace`` seconds, then closes everything."""
        self.draining = True
        for listener in self._listeners:
            listener.close()
        for client in list(self.clients):
            client.drain()
        if not self.clients:
            self._idle.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        for client in list(self.clients):
            client.abort()
        for listener in self._listeners:
            await listener.wait_closed()
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

    def next_id(self) -> str:
        """The identity of an exchange, unique within the session."""
        self._count += 1
        return f"{self._ids}{self._count:08x}"

    def ended(self, event: Event) -> None:
        """Records the end of an exchange. It is over: a journal that fails now stops the next one, at its start."""
        summary = self.summary
        summary.requests += 1
        summary.bytes_in += event.bytes_in or 0
        summary.bytes_out += event.bytes_out or 0
        if event.code is not None:
            counter = summary.refused if event.verdict == "deny" else summary.failed
            path = (event.path or "").partition("?")[0]
            refusal = Refusal(
                event.code, event.method or "", event.scheme or "", event.host or "", event.port or 0, path
            )
            if refusal in counter or len(counter) < MAX_REFUSED:
                counter[refusal] += 1
        try:
            self.journal.stage(event)
        except JournalUnavailable as error:
            self.complain(error)
            return
        if event.code is None:
            self.turn.staged()
        else:
            self.turn.commit()  # a refusal is in the journal before anybody is told

    def complain(self, error: JournalUnavailable) -> None:
        """Says once, where the person can see it, that the journal cannot be written."""
        if not self._complained:
            self._complained = True
            _log.error("outward: %s; requests are refused until it can be written", error.message)

    def _sweep(self) -> None:
        now = self.clock()
        for client in list(self.clients):
            client.sweep(now)
        self.pool.sweep(now)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._sweep)


def _settle_memory() -> None:
    """Spares the collector what lives as long as the process: modules, the policy, certificates.

    Exchanges are freed by reference counting; looking for cycles among them every 700 objects cost 5 % of the time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
