"""Azure Key Vault's documented HTTP API, on loopback; `az` is a program of the test's own, and prints what is documented."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable
from tests.support.keepers import KeyVault, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.sources.conftest import World
    from tests.support.upstream import Seen, Upstream

SECRET = "key: {azure: {vault: acme, secret: github}}"
CLIENT = {"AZURE_TENANT_ID": "tenant-1", "AZURE_CLIENT_ID": "client-1", "AZURE_CLIENT_SECRET": "client-secret-1"}


@pytest.fixture
def vault(world: World) -> KeyVault:
    keeper = KeyVault()
    world.keep(keeper, "acme.vault.azure.net", "login.microsoftonline.com")
    world.environment |= CLIENT
    return keeper


def test_by_a_clients_secret(world: World, vault: KeyVault) -> None:
    assert world.get(SECRET) == "ghp_test-azure"
    assert world.get(SECRET.replace("github", "github, version: v1")) == "ghp_test-azure-1"
    assert world.get(SECRET.replace("acme", "'https://acme.vault.azure.net/'")) == "ghp_test-azure"
    for broken, why in (
        (SECRET.replace("github", "gitlab"), "no secret gitlab"),
        (SECRET.replace("github", "github, version: v9"), "no secret"),
        (SECRET.replace("acme", "other"), "cannot be reached"),
        (SECRET.replace("github", "github, field: token"), "no JSON object"),
    ):
        with pytest.raises(SecretUnavailable, match=why):
            world.get(broken)


def test_a_field_of_a_secret_that_is_json(world: World, vault: KeyVault) -> None:
    vault.secrets["/secrets/github"] = '{"token": "ghp_test-field", "port": 5432}'
    assert world.get(SECRET.replace("github", "github, field: token")) == "ghp_test-field"
    assert world.get(SECRET.replace("github", "github, field: port")) == "5432"
    with pytest.raises(SecretUnavailable, match="no field 'user'"):
        world.get(SECRET.replace("github", "github, field: user"))


@pytest.mark.parametrize("variable", sorted(CLIENT))
def test_every_part_of_the_log_in_counts(world: World, vault: KeyVault, variable: str) -> None:
    world.environment[variable] = "wrong"
    with pytest.raises(SecretUnavailable, match="Azure"):
        world.get(SECRET)
    del world.environment[variable]
    with pytest.raises(SecretUnavailable):
        world.get(SECRET)


def test_one_log_in_for_many_secrets_and_another_when_it_is_refused(
    world: World, vault: KeyVault, now: list[float]
) -> None:
    async def story() -> None:
        store = world.store(
            SECRET.replace("}}", "}, ttl: 1m}"), "other: {azure: {vault: acme, secret: github, version: v1}}"
        )
        await asyncio.gather(store.get("key"), store.get("other"))
        log_ins = [line for line in vault.asked if "oauth2" in line]
        assert len(log_ins) == 1
        tokens, vault.tokens = vault.tokens, set()
        now[0] += 61
        with pytest.raises(SecretUnavailable, match="does not take the log-in"):
            await store.get("key")
        vault.tokens = tokens
        now[0] += 31
        await store.get("key")
        assert len([line for line in vault.asked if "oauth2" in line]) == 2

    asyncio.run(story())


def test_by_a_federated_token(world: World, vault: KeyVault) -> None:
    del world.environment["AZURE_CLIENT_SECRET"]
    file = world.home / "federated"
    world.environment["AZURE_FEDERATED_TOKEN_FILE"] = str(file)
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        world.get(SECRET)
    file.write_text("federated-1\n")
    assert world.get(SECRET) == "ghp_test-azure"
    file.write_text("federated-2\n")
    with pytest.raises(SecretUnavailable, match="refuses the log-in by workload_identity"):
        world.get(SECRET)


def test_by_az(world: World, vault: KeyVault) -> None:
    secret = SECRET.replace("acme", "acme, auth: cli")
    with pytest.raises(SecretUnavailable, match="cannot run az"):
        world.get(secret)
    documented = '{"accessToken": "eyJ-test-azure", "expiresOn": "2030-01-01 00:00:00.000000", "tokenType": "Bearer"}'
    wanted = "account get-access-token --resource https://vault.azure.net --output json"
    world.program("az", f"""[ "$*" = "{wanted}" ] && echo '{documented}'""")
    assert world.get(secret) == "ghp_test-azure"
    for script in ("exit 1", "echo '{}'", "echo sk-leak", "echo '{\"accessToken\": 5}'"):
        world.program("az", script)
        with pytest.raises(SecretUnavailable, match="az") as caught:
            world.get(secret)
        assert "sk-leak" not in str(caught.value)


def test_by_the_machine(
    world: World, vault: KeyVault, upstream: Callable[..., Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Metadata(KeyVault):
        def reply(self, seen: Seen) -> Reply:
            if seen.all("metadata") != ["true"] or "resource=https%3A%2F%2Fvault.azure.net" not in seen.target:
                return 400, {"error": "invalid_request"}
            return 200, {"access_token": "eyJ-test-azure", "expires_in": "86399"}

    metadata = Metadata()
    server = upstream(tls=False, handler=metadata.serve)
    monkeypatch.setattr("outward.credentials.sources.azure.METADATA", f"http://127.0.0.1:{server.port}/token")
    secret = SECRET.replace("acme", "acme, auth: managed_identity")
    assert world.get(secret) == "ghp_test-azure"
    assert "CONNECT" not in str(metadata.asked)
    metadata.broken = (400, {"error": "invalid_request"})
    with pytest.raises(SecretUnavailable, match="metadata service refuses"):
        world.get(secret)
    for seconds in (None, "soon", -1, "²"):
        metadata.broken = (200, {"access_token": "eyJ-test-azure", "expires_in": seconds})
        with pytest.raises(SecretUnavailable, match="without expires_in"):
            world.get(secret)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ((403, {}), "denies"),
        ((429, {}), "status 429"),
        ((200, b"ghp_test"), "not JSON"),
        ((200, {"value": ""}), "value"),
    ],
)
def test_what_is_no_answer_is_no_secret(world: World, vault: KeyVault, broken: tuple[int, object], why: str) -> None:
    vault.broken = lambda seen: vault.reply(seen) if "oauth2" in seen.target else broken
    with pytest.raises(SecretUnavailable, match=why) as caught:
        world.get(SECRET)
    assert "ghp_test" not in str(caught.value)
