"""A certificate authority for the servers, and gateways and servers that are stopped at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from tests.support.forked import Loaded
from tests.support.serve import Serve
from tests.support.upstream import Handler, Upstream, echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@pytest.fixture(scope="session")
def server_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def loaded() -> Iterator[Loaded]:
    with Loaded() as loaded:
        yield loaded


@pytest.fixture
def ca_file(server_ca: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "server-ca.pem"
    server_ca.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture
def upstream(server_ca: trustme.CA) -> Iterator[Callable[..., Upstream]]:
    """Starts servers: ``upstream("api.test")``, ``upstream(tls=False)``."""
    started: list[Upstream] = []

    def start(*names: str, tls: bool = True, handler: Handler = echo, alpn: tuple[str, ...] = ()) -> Upstream:
        server = Upstream(server_ca if tls else None, *names, handler=handler, alpn=alpn)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def serve(tmp_path: Path, ca_file: Path, loaded: Loaded) -> Iterator[Callable[..., Serve]]:
    """Starts gateways; ``CA`` in the policy's text becomes the servers' authority."""
    started: list[Serve] = []

    def start(policy: str, *arguments: str, env: dict[str, str] | None = None, enter: Sequence[str] = ()) -> Serve:
        directory = tmp_path / f"gateway{len(started)}"
        directory.mkdir(mode=0o700)
        gateway = Serve(directory, policy.replace("CA", str(ca_file)), *arguments, env=env, enter=enter, loaded=loaded)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop(patience=1)  # the test is over: nobody waits for what it has left
