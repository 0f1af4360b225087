"""A server that demands a certificate of its clients, and what comes of it through the real gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

POLICY = """
secrets:
  machine: {{file: {key}}}
destinations:
  - {{host: api.test, connect_to: 127.0.0.1:{port}, ca: CA, allow: [GET /**]{more}}}
  - {{host: other.test, connect_to: 127.0.0.1:{port}, ca: CA, allow: [GET /**]}}
"""


@pytest.fixture(scope="module")
def clients_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def start(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], clients_ca: trustme.CA, tmp_path: Path
) -> Callable[..., tuple[Serve, Upstream]]:
    def begin(issuer: trustme.CA, *, own_key: bool = True, shown: bool = True) -> tuple[Serve, Upstream]:
        server = upstream("api.test", "other.test")
        server.demand_certificate(clients_ca)
        leaf, other = issuer.issue_cert("machine.test"), issuer.issue_cert("machine.test")
        leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
        key = tmp_path / "key.pem"
        (leaf if own_key else other).private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        more = f", client_certificate: {{cert: {tmp_path / 'cert.pem'}, key: machine}}" if shown else ""
        return serve(POLICY.format(port=server.port, key=key, more=more)), server

    return begin


def test_the_certificate_is_shown_to_its_destination_alone(
    start: Callable[..., tuple[Serve, Upstream]], clients_ca: trustme.CA
) -> None:
    gateway, server = start(clients_ca)
    assert [gateway.get("api.test", "/a").status for _ in range(2)] == [200, 200]
    assert gateway.get("other.test", "/a").status == 502, "the same server, without a certificate in the policy"
    assert len(server.seen) == 2
    used = {(record["host"], *record["secrets"]) for record in gateway.journal() if record["phase"] == "start"}
    assert used == {("api.test", "machine"), ("other.test",)}


@pytest.mark.parametrize("shown", [False, True])
def test_without_the_right_certificate_nothing_is_answered(
    start: Callable[..., tuple[Serve, Upstream]], *, shown: bool
) -> None:
    gateway, server = start(trustme.CA(), shown=shown)
    assert gateway.get("api.test", "/a").status == 502
    assert server.seen == []


def test_a_key_of_another_certificate_is_said_to_be_one(
    start: Callable[..., tuple[Serve, Upstream]], clients_ca: trustme.CA
) -> None:
    gateway, server = start(clients_ca, own_key=False)
    refused = gateway.get("api.test", "/a")
    assert (refused.status, refused.code) == (503, "secret_unavailable")
    assert "'machine'" in refused.json()["error"]["message"]
    assert "PRIVATE KEY" not in refused.body.decode()
    assert server.seen == []
