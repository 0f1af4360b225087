"""A ``serve`` of one process: its orders are signals."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Final

from outward.core import OutwardError
from outward.credentials import CredentialStore
from outward.server.listening import address_of, listening
from outward.server.service import DRAIN_TIME, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outward.core import CallerProxies
    from outward.gateway.turn import Recorder
    from outward.pki import Authority
    from outward.policy import Policy
    from outward.server.listening import Plan


class Server:
    """The listeners of one ``serve`` and the gateway behind them."""

    def __init__(
        self,
        *,
        policy: Policy,
        environment: Mapping[str, str],
        caller: CallerProxies,
        authority: Authority,
        journal: Recorder,
        reload: Callable[[], Policy],
        report: Callable[[str], None],
    ) -> None:
        """``reload`` reads the policy again (SIGHUP); ``report`` shows a line to the person."""
        self._agents: Final = policy.agents
        self._authority: Final = authority
        self._reload: Final = reload
        self._report: Final = report
        self._service: Final = Service(
            policy,
            CredentialStore(policy.secrets, environment=environment, caller=caller),
            environment=environment,
            authority=authority,
            journal=journal,
        )

    async def run(self, plan: Plan, ready: Callable[[str], None]) -> None:
        """Serves until SIGTERM or SIGINT, then drains. ``ready`` gets the JSON line once connections are accepted."""
        reload = asyncio.Event()
        loop = asyncio.get_running_loop()
        with listening(plan, self._agents) as bound:
            names = [address_of(sock) for sock, _ in bound]
            for signum in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(signum, self._stop)
            loop.add_signal_handler(signal.SIGHUP, reload.set)
            reloading = loop.create_task(self._reload_whenever(reload))
            line = json.dumps({"event": "ready", "listen": names, "ca": str(self._authority.certificate_file)})
            await self._service.run(bound, lambda: ready(line))
            reloading.cancel()

    def _stop(self) -> None:
        if not self._service.stopping:
            self._report(f"stopping: requests in flight get {DRAIN_TIME:.0f} s")
        self._service.stop()

    async def _reload_whenever(self, asked: asyncio.Event) -> None:
        """One reload after the other, however many signals come."""
        while True:
            await asked.wait()
            asked.clear()
            await self._reload_policy()

    async def _reload_policy(self) -> None:
        """All or nothing: a broken file leaves the old policy in force. Read in a thread, for presets may ask programs."""
        try:
            policy = await asyncio.get_running_loop().run_in_executor(None, self._reload)
            await self._service.replace(policy)
        except OutwardError as error:
            self._report(f"the policy was not reloaded, the old one stays in force:\n{error.message}")
        else:
            self._report("the policy was reloaded")
