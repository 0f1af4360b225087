"""Vault's documented HTTP API, served on loopback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable
from tests.integration.sources.conftest import World, until
from tests.support.keepers import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.upstream import Upstream

KV2 = "key: {vault: {path: secret/data/dev/github, field: token}}"
DYNAMIC = (
    "user: {vault: {path: database/creds/app, field: username}}",
    "password: {vault: {path: database/creds/app, field: password}}",
)


@pytest.fixture
def vault(world: World) -> Vault:
    keeper = Vault()
    world.keep(keeper, "vault.test")
    world.environment |= {"VAULT_ADDR": "https://vault.test:8200", "VAULT_TOKEN": keeper.new_token(3600)}
    return keeper


def test_both_versions_of_the_kv_engine(world: World, vault: Vault) -> None:
    assert world.get(KV2) == "ghp_test-1"
    assert world.get("key: {vault: {path: kv/dev/github, field: token}}") == "ghp_test-old"
    assert world.get("key: {vault: {path: secret/data/dev/github, field: n, version: 2}}") == "5"
    assert all(seen.target.startswith("/v1/") for seen in vault.seen)
    assert world.proxy.targets[0] == "CONNECT vault.test:8200", "through the caller's proxy"
    for broken, why in (
        ("key: {vault: {path: secret/data/dev/github, field: tokn}}", "no field 'tokn'"),
        ("key: {vault: {path: secret/dev/github, field: token}}", "nothing at secret/dev/github"),
        ("key: {vault: {path: secret/data/dev/github, field: token, version: 1}}", "nothing at"),
        ("key: {vault: {path: secret/data/dev/github, field: token, address: 'https://other.test'}}", "reached"),
        ("key: {vault: {path: secret/data/dev/github, field: token, address: 'http://vault.test'}}", "without TLS"),
    ):
        with pytest.raises(SecretUnavailable, match=why):
            world.get(broken)


def test_a_namespace(world: World, vault: Vault) -> None:
    vault.namespace = "team-a"
    with pytest.raises(SecretUnavailable):
        world.get(KV2)
    assert world.get(KV2.replace("path", "namespace: team-a, path")) == "ghp_test-1"
    world.environment["VAULT_NAMESPACE"] = "team-a"
    assert world.get(KV2) == "ghp_test-1"


def test_only_who_is_trusted_is_told_the_token(
    world: World, vault: Vault, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SecretUnavailable, match="cannot be verified"):
        world.get(KV2)
    world.environment["VAULT_SKIP_VERIFY"] = "1"
    with pytest.raises(SecretUnavailable, match="cannot be verified"):
        world.get(KV2)
    assert not vault.seen
    world.environment["VAULT_CACERT"] = str(ca_file)
    assert world.get(KV2) == "ghp_test-1"
    world.environment["VAULT_CACERT"] = str(ca_file.with_name("no-such-file"))
    with pytest.raises(SecretUnavailable, match="No such file"):
        world.get(KV2)


def test_the_token_of_vault_login(world: World, vault: Vault) -> None:
    token = world.environment.pop("VAULT_TOKEN")
    with pytest.raises(SecretUnavailable, match="needs a token") as caught:
        world.get(KV2)
    assert "vault login" in caught.value.hint
    (world.home / ".vault-token").write_text(f"{token}\n")
    assert world.get(KV2) == "ghp_test-1"
    (world.home / ".vault-token").write_text("hvs.test-revoked")
    with pytest.raises(SecretUnavailable, match="denies reading secret/data/dev/github"):
        world.get(KV2)


@pytest.mark.parametrize("end", ["\n", "\r\nx-more: 1", " ", "\x00", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_token_that_no_header_can_carry_is_not_repeated(world: World, vault: Vault, end: str) -> None:
    world.environment["VAULT_TOKEN"] += end
    with pytest.raises(SecretUnavailable, match="no header can carry") as caught:
        world.get(KV2)
    assert "hvs.test" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"
    assert not vault.seen


@pytest.mark.parametrize(
    "said",
    [
        b"ghp_test-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nghp_test-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: ghp_test-1\0\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_http_is_not_repeated(world: World, vault: Vault, said: bytes) -> None:
    async def serve(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    vault.serve = serve  # type: ignore[assignment, method-assign]
    world.keep(vault, "vault.test")
    with pytest.raises(SecretUnavailable, match="RemoteProtocolError") as caught:
        world.get(KV2)
    assert "ghp_test" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


APPROLE = (
    "key: {vault: {path: secret/data/dev/github, field: token, auth: approle, role_id: role, secret_id: sid}}",
    "role: {env: ROLE_ID}",
    "sid: {env: SECRET_ID}",
)


def test_approle(world: World, vault: Vault) -> None:
    del world.environment["VAULT_TOKEN"]
    world.environment |= {"ROLE_ID": "role-1", "SECRET_ID": "secret-id-1"}
    assert world.get(*APPROLE) == "ghp_test-1"
    vault.secret_id = "secret-id-2"
    with pytest.raises(SecretUnavailable, match="refuses the log-in by approle"):
        world.get(*APPROLE)
    del world.environment["SECRET_ID"]
    with pytest.raises(SecretUnavailable, match="SECRET_ID is not set"):
        world.get(*APPROLE)


def test_the_account_of_a_pod(world: World, vault: Vault) -> None:
    file = world.home / "jwt"
    secret = (
        "key: {vault: {path: secret/data/dev/github, field: token, auth: kubernetes, mount: k8s, "
        f"role: agents, jwt: {file}}}}}"
    )
    with pytest.raises(SecretUnavailable, match="cannot be read"):
        world.get(secret)
    file.write_text("jwt-1\n")
    assert world.get(secret) == "ghp_test-1"
    with pytest.raises(SecretUnavailable, match="refuses the log-in by kubernetes"):
        world.get(secret.replace("agents", "admins"))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ((503, {"errors": ["Vault is sealed"]}), "sealed"),
        ((500, b"ghp_test-1"), "status 500"),
        ((200, b"<html>ghp_test-1"), "not JSON"),
        ((200, b"[" * 100_000), "not JSON"),
        ((200, {"data": "ghp_test-1"}), "without data"),
        ((200, {"data": {"data": None, "metadata": {}}}), "without data"),
        ((200, []), "without data"),
        ((200, b"x" * 2_000_000), "more than"),
        ((307, b"ghp_test-1"), "redirect"),
        ((302, b""), "redirect"),
    ],
)
def test_what_is_no_answer_is_no_secret(world: World, vault: Vault, broken: tuple[int, object], why: str) -> None:
    assert world.get(KV2) == "ghp_test-1"
    vault.broken = broken
    with pytest.raises(SecretUnavailable, match=why) as caught:
        world.get(KV2)
    assert "ghp_test" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_a_hanging_vault_is_given_up(world: World, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outward.credentials.sources.http.TIME_LIMIT", 0.3)
    vault.hangs = True
    with pytest.raises(SecretUnavailable, match="did not answer"):
        world.get(KV2)


def test_what_is_made_on_demand_is_made_once_renewed_and_then_made_anew(
    world: World, vault: Vault, now: list[float]
) -> None:
    async def story() -> None:
        vault.lease_seconds = [100, 100, 100, 20, 100]
        store = world.store(*DYNAMIC)
        both = await asyncio.gather(store.get("user"), store.get("password"))
        assert [secret.reveal() for secret in both] == [b"user-1", b"password-1"]

        async def refreshed(asked: str, times: int) -> None:
            """Requests come, and one of them sets it off."""
            await until(lambda: bool(store.cached("user")) and sum(asked in line for line in vault.asked) == times)
            await until(lambda: bool(store.cached("user")) and store.expiry("user") > now[0])

        for renewals in (1, 2):
            now[0] += 85
            assert store.cached("user") is both[0], "the old value is used meanwhile"
            await refreshed("leases/renew", renewals)
        now[0] += 85
        await refreshed("GET /v1/database/creds/app", 2)  # renewed for 20 s only: its end is near
        assert (await store.get("password")).reveal() == b"password-2"
        assert (await store.get("user")).reveal() == b"user-2"

    asyncio.run(story())


def test_an_expired_lease_is_not_used(world: World, vault: Vault, now: list[float]) -> None:
    async def story() -> None:
        vault.lease_seconds = [100, 100]
        store = world.store(*DYNAMIC)
        await store.get("user")
        now[0] += 101
        assert store.cached("user") is None
        vault.broken = (503, {})
        with pytest.raises(SecretUnavailable, match="sealed"):
            await store.get("user")
        vault.broken = None
        now[0] += 31
        assert (await store.get("user")).reveal() == b"user-2"

    asyncio.run(story())


def test_what_is_made_on_demand_ends_with_its_token(world: World, vault: Vault, now: list[float]) -> None:
    async def story() -> None:
        vault.token_seconds = 50
        world.environment |= {"ROLE_ID": "role-1", "SECRET_ID": "secret-id-1"}
        vault.lease_seconds = [1000, 1000]
        store = world.store(
            "user: {vault: {path: database/creds/app, field: username, auth: approle, role_id: r, secret_id: s}}",
            "r: {env: ROLE_ID}",
            "s: {env: SECRET_ID}",
        )
        await store.get("user")
        now[0] += 51
        assert store.cached("user") is None, "Vault has revoked it with the token"
        assert (await store.get("user")).reveal() == b"user-2"

    asyncio.run(story())


def test_a_token_is_renewed_ahead_of_its_end(world: World, vault: Vault, now: list[float]) -> None:
    async def story() -> None:
        store = world.store(KV2.replace("}}", "}, ttl: 1m}"))
        await store.get("key")
        for _ in range(60):
            now[0] += 61
            await store.get("key")
        await until(lambda: any("renew-self" in line for line in vault.asked))
        assert sum("lookup-self" in line for line in vault.asked) == 1, "and is the same one ever after"

    asyncio.run(story())


def test_a_revoked_token_is_replaced(world: World, vault: Vault, now: list[float]) -> None:
    async def story() -> None:
        world.environment.pop("VAULT_TOKEN")
        file = world.home / ".vault-token"
        file.write_text(vault.new_token(3600))
        store = world.store(KV2.replace("}}", "}, ttl: 1m}"))
        await store.get("key")
        vault.tokens.clear()
        now[0] += 61
        with pytest.raises(SecretUnavailable, match="denies"):
            await store.get("key")
        file.write_text(vault.new_token(3600))
        now[0] += 31
        vault.kv["secret/data/dev/github"]["token"] = "ghp_test-2"
        assert (await store.get("key")).reveal() == b"ghp_test-2"

    asyncio.run(story())
