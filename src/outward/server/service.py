"""One gateway in one event loop, under orders: from signals where it is alone, from a supervisor where it is a worker."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from outward.credentials import CredentialStore
from outward.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from outward.gateway.turn import Recorder
    from outward.pki import Authority
    from outward.policy import Policy
    from outward.server.listening import Bound

DRAIN_TIME: Final = 30.0
"""Seconds that requests in flight get after SIGTERM; a second signal ends them at once."""


class Service:
    """The gateway of one process, and the orders that it takes."""

    def __init__(
        self,
        policy: Policy,
        store: CredentialStore,
        *,
        environment: Mapping[str, str],
        authority: Authority,
        journal: Recorder,
        ids: str = "",
    ) -> None:
        self._environment: Final = environment
        self._store = store
        self._gateway: Final = Gateway(policy=policy, store=store, authority=authority, journal=journal, ids=ids)
        self._stop: Final = asyncio.Event()
        self._hurry: Final = asyncio.Event()

    async def run(self, bound: Sequence[Bound], ready: Callable[[], None]) -> None:
        """Serves until :meth:`stop`, then drains. ``ready`` is called once connections are accepted."""
        async with self._gateway as gateway:
            for sock, front in bound:
                if sock.family != socket.AF_UNIX:
                    gateway.dialler.never_dial(sock.getsockname()[1])
                gateway.listen_on(sock, front)
            ready()
            await self._stop.wait()
            await self._drain()

    async def _drain(self) -> None:
        drained = asyncio.ensure_future(self._gateway.close(DRAIN_TIME))
        hurry = asyncio.ensure_future(self._hurry.wait())
        await asyncio.wait({drained, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not drained.done():
            drained.cancel()
            await self._gateway.close(0)

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Accepts nothing more and ends when what is in flight has ended; at once if called again."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def replace(self, policy: Policy, placeholders: Mapping[str, str] | None = None) -> None:
        """Requests that begin from then on are decided by ``policy``. Raises :class:`OutwardError`, and nothing changes."""
        store = CredentialStore(
            policy.secrets, environment=self._environment, previous=self._store, placeholders=placeholders
        )
        await self._gateway.replace(policy, store)
        self._store = store
