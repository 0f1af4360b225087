"""Services that keep secrets, behind names that a company's proxy knows, and a store of a real policy that asks them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from outward.cli.proxies import caller_proxies
from outward.credentials import CredentialStore
from tests.support.company import CompanyProxy
from tests.unit.policy.conftest import make_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outward.core import Secret
    from tests.support.keepers import Keeper
    from tests.support.upstream import Upstream


class World:
    """Where services are found: ``environment`` is the caller's."""

    def __init__(self, proxy: CompanyProxy, start: Callable[..., Upstream], home: Path) -> None:
        self.proxy = proxy
        self.home = home
        self._start = start
        self.environment = {
            "HOME": str(home),
            "PATH": f"{home}/bin:/usr/bin:/bin",
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        }

    def keep(self, keeper: Keeper, *hosts: str) -> Upstream:
        """Serves ``hosts`` by ``keeper``, with certificates for exactly them."""
        server = self._start(*hosts, handler=keeper.serve)
        self.proxy.hosts |= dict.fromkeys(hosts, server.port)
        return server

    def program(self, name: str, script: str) -> None:
        """A program on the caller's PATH."""
        file = self.home / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def store(self, *secrets: str) -> CredentialStore:
        """Of a policy with these secrets."""
        text = "version: 1\nsecrets:\n" + "".join(f"  {secret}\n" for secret in secrets)
        proxies = caller_proxies(self.environment)
        return CredentialStore(make_policy(text).secrets, environment=self.environment, caller=proxies)

    def get(self, *secrets: str) -> str:
        """The value of the first one, fetched by a store of its own."""

        async def fetch() -> Secret:
            return await self.store(*secrets).get(secrets[0].partition(":")[0])

        return asyncio.run(fetch()).reveal().decode()


@pytest.fixture
def world(
    tmp_path: Path, upstream: Callable[..., Upstream], ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """With the servers' authority among the system's roots."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    proxy = CompanyProxy()
    yield World(proxy, upstream, tmp_path)
    proxy.close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of what is kept: what it shows may be set."""
    clock = [1000.0]
    monkeypatch.setattr("outward.credentials.kept.time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what happens in the background; the test's own limit ends it."""
    while not condition():  # noqa: ASYNC110 (it is somebody else's state)
        await asyncio.sleep(0.01)
