"""The real gateway with a source that takes its time: Vault's documented HTTP API, served on loopback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.keepers import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def gateway(
    upstream: Callable[..., Upstream], serve: Callable[..., Serve], ca_file: Path, vault: Vault
) -> Callable[[str], Serve]:
    """A gateway whose destination gets the secret, used for as long as is said."""

    def start(ttl: str) -> Serve:
        keeper = upstream("localhost", handler=vault.serve)
        server = upstream("api.test")
        environment = {
            "VAULT_ADDR": f"https://localhost:{keeper.port}",
            "VAULT_CACERT": str(ca_file),
            "VAULT_TOKEN": vault.new_token(3600),
        }
        policy = f"""
            secrets:
              key: {{vault: {{path: secret/data/dev/github, field: token}}, ttl: {ttl}}}
            destinations:
              - host: api.test
                connect_to: 127.0.0.1:{server.port}
                ca: CA
                redact: false
                allow: ["GET /**"]
                inject: [{{header: authorization, value: "Bearer {{key}}"}}]
        """
        return serve(policy, env=environment)

    return start


def test_a_request_gets_what_vault_keeps(gateway: Callable[[str], Serve], vault: Vault) -> None:
    serve = gateway("1h")
    with serve.tunnel("api.test") as connection:
        for _ in range(3):
            answer = connection.request("GET", "/", "api.test")
            assert ["authorization", "Bearer ghp_test-1"] in answer.json()["headers"]
    assert sum("secret/data" in line for line in vault.asked) == 1, "fetched once"
    state = b"".join(file.read_bytes() for file in serve.state.rglob("*") if file.is_file())
    assert b"ghp_test" not in state
    assert b"hvs.test" not in state


def test_what_is_replaced_in_vault_is_used_on_the_same_connection(
    gateway: Callable[[str], Serve], vault: Vault
) -> None:
    with gateway("1s").tunnel("api.test") as connection:
        seen = []
        while "Bearer ghp_test-2" not in seen:
            answer = connection.request("GET", "/", "api.test")
            assert answer.status == 200
            seen += [value for name, value in answer.json()["headers"] if name == "authorization"]
            vault.kv["secret/data/dev/github"] = {"token": "ghp_test-2"}
        assert set(seen) == {"Bearer ghp_test-1", "Bearer ghp_test-2"}
        assert seen == sorted(seen), "and the old one never again"


@pytest.mark.parametrize(
    "broken", [(403, {}), (503, {}), (200, b"garbage"), (200, {"data": {"data": {}, "metadata": {}}})]
)
def test_nothing_goes_out_without_it(gateway: Callable[[str], Serve], vault: Vault, broken: tuple[int, object]) -> None:
    vault.broken = broken
    serve = gateway("1h")
    with serve.tunnel("api.test") as connection:
        for _ in range(5):
            answer = connection.request("GET", "/", "api.test")
            assert (answer.status, answer.code) == (503, "secret_unavailable")
            assert "'key'" in json.dumps(answer.json())
    assert sum("secret/data" in line for line in vault.asked) <= 1, "the source is not flooded"
