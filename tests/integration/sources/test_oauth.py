"""OAuth's token endpoint, on loopback: clients, scopes, refresh tokens that are good once, and gateways that are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from outward.core import Secret, SecretUnavailable
from outward.credentials.local import unlocking
from outward.credentials.local.sealed import new_opening
from outward.credentials.local.store import LocalStore
from tests.integration.sources.conftest import until
from tests.support.minters import TokenService, form_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sources.conftest import World

URL = "token_url: https://auth.corp.example/oauth/token"
REFRESH = f"key: {{oauth: {{{URL}, client_id: client 1, client_secret: cs, refresh_token: rt}}}}"
CLIENT = f"key: {{oauth: {{{URL}, client_id: client 1, client_secret: cs}}}}"
PUBLIC = f"key: {{oauth: {{{URL}, client_id: public, refresh_token: rt}}}}"
OTHERS = ("cs: {env: CLIENT_SECRET}", "rt: {env: REFRESH_TOKEN}")


@pytest.fixture
def service(world: World) -> TokenService:
    keeper = TokenService()
    world.keep(keeper, "auth.corp.example")
    world.environment |= {"CLIENT_SECRET": "client:secret/1", "REFRESH_TOKEN": "rt-test-0"}
    key_file = world.home / "store.key"
    made = new_opening(str(key_file)).new_key(unlocking.make_key_file(key_file))
    LocalStore(world.environment).create(*made)
    return keeper


def test_client_credentials(world: World, service: TokenService) -> None:
    assert world.get(CLIENT, *OTHERS) == "at-test-1"
    more = "client_secret: cs, auth: post, scopes: [read, write], audience: api, resource: https://r.example/"
    assert world.get(CLIENT.replace("client_secret: cs", more), *OTHERS) == "at-test-2"
    form = form_of(service.seen[-1])
    assert (form["scope"], form["audience"], form["resource"]) == ("read write", "api", "https://r.example/")
    for change, why in (
        (("client 1", "client 2"), "does not take the client's log-in"),
        (("client_secret: cs", "client_secret: rt"), "does not take the client's log-in"),
        (("client_secret: cs", "client_secret: cs, scopes: [admin]"), "does not grant these scopes"),
        (("/oauth/token", "/oauth/tokens"), "status 404"),
    ):
        with pytest.raises(SecretUnavailable, match=why) as caught:
            world.get(CLIENT.replace(*change), *OTHERS)
        assert "sk-leak" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("secret", [REFRESH, PUBLIC])
def test_refresh_tokens_are_good_once_and_the_next_is_kept(world: World, service: TokenService, secret: str) -> None:
    assert world.get(secret, *OTHERS) == "at-test-1"
    assert world.get(secret, *OTHERS) == "at-test-2"
    assert [form_of(seen)["refresh_token"] for seen in service.seen] == ["rt-test-0", "rt-test-1"]
    service.refresh_token = "rt-test-stolen"
    with pytest.raises(SecretUnavailable, match="has ended") as caught:
        world.get(secret, *OTHERS)
    assert caught.value.hint == "Log in again, and give the secret rt the new refresh token."
    assert "sk-leak" not in str(caught.value)
    service.refresh_token = world.environment["REFRESH_TOKEN"] = "rt-test-new-log-in"
    assert world.get(secret, *OTHERS) == "at-test-3"


def test_what_was_kept_is_what_makes_it_work(world: World, service: TokenService) -> None:
    assert world.get(REFRESH, *OTHERS) == "at-test-1"
    store = LocalStore(world.environment)
    (name,) = store.entries()
    asyncio.run(store.delete(name))
    with pytest.raises(SecretUnavailable, match="has ended"):
        world.get(REFRESH, *OTHERS)


def test_the_first_token_is_not_spent_where_the_next_could_not_be_kept(world: World, service: TokenService) -> None:
    unlocking._keys.clear()
    (world.home / "store.key").rename(world.home / "elsewhere")
    with pytest.raises(SecretUnavailable, match="could not be kept"):
        world.get(REFRESH, *OTHERS)
    assert not service.seen
    (world.home / "elsewhere").rename(world.home / "store.key")
    assert world.get(REFRESH, *OTHERS) == "at-test-1"


def test_a_service_that_does_not_rotate(world: World, service: TokenService) -> None:
    service.rotates = False
    assert [world.get(REFRESH, *OTHERS) for _ in range(2)] == ["at-test-1", "at-test-2"]
    assert {form_of(seen)["refresh_token"] for seen in service.seen} == {"rt-test-0"}


def test_many_gateways_take_turns(world: World, service: TokenService) -> None:
    async def story() -> None:
        stores = [world.store(REFRESH, *OTHERS) for _ in range(4)]
        await asyncio.gather(*(store.get("key") for store in stores for _ in range(5)))

    asyncio.run(story())
    assert [form_of(seen)["refresh_token"] for seen in service.seen] == [f"rt-test-{number}" for number in range(4)]


def test_ahead_of_its_end_once_and_again_after_trouble(world: World, service: TokenService, now: list[float]) -> None:
    async def story() -> None:
        store = world.store(REFRESH, *OTHERS)
        assert (await store.get("key")).reveal() == b"at-test-1"
        now[0] += 3400
        assert {(await store.get("key")).reveal() for _ in range(5)} == {b"at-test-1"}
        await until(lambda: (store.cached("key") or old).reveal() == b"at-test-2")
        assert service.made == 2
        await asyncio.sleep(0)  # that fetch is over, and put away
        now[0] += 3601
        service.broken = (500, b"sk-leak")
        with pytest.raises(SecretUnavailable, match="status 500"):
            await store.get("key")
        service.broken = None
        now[0] += 31
        assert (await store.get("key")).reveal() == b"at-test-3"

    old = Secret("key", b"")
    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"<html>sk-leak", "not JSON"),
        ({}, "without access_token"),
        ({"access_token": 5}, "without access_token"),
        ({"access_token": "sk-leak\r\nx: y"}, "no header can carry"),
        ({"access_token": "a", "token_type": "mac"}, "not a bearer token"),
        ({"access_token": "a", "expires_in": -5}, "lifetime"),
        ({"access_token": "a", "expires_in": True}, "lifetime"),
        ({"access_token": "a", "expires_in": "soon"}, "lifetime"),
        ({"access_token": "a", "expires_in": 0}, "lifetime"),
    ],
)
def test_answers_that_are_none(world: World, service: TokenService, answer: object, why: str) -> None:
    assert world.get(CLIENT, *OTHERS) == "at-test-1"
    service.broken = (200, answer)
    with pytest.raises(SecretUnavailable, match=why) as caught:
        world.get(CLIENT, *OTHERS)
    assert "sk-leak" not in str(caught.value)


def test_only_who_is_trusted_is_told_anything(
    world: World, service: TokenService, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SecretUnavailable, match="cannot be verified"):
        world.get(CLIENT, *OTHERS)
    assert not service.seen
    assert world.get(CLIENT.replace("client_id", f"ca: {ca_file}, client_id"), *OTHERS) == "at-test-1"


def gateway(world: World, dies: str) -> subprocess.CompletedProcess[str]:
    """Fetches the secret in a process that is killed: ``before`` the new refresh token is kept, or right ``after``."""
    policy = "\n  ".join(("version: 1\nsecrets:", REFRESH, *OTHERS))
    program = f"""
        import asyncio, os, signal
        from outward.cli.proxies import caller_proxies
        from outward.credentials import CredentialStore
        from outward.credentials.local.store import LocalStore
        from tests.unit.policy.conftest import make_policy

        put, kept = LocalStore.put, []
        async def dying(self, name, value, **options):
            if value != b"rt-test-0" and {dies == "before"}:
                os.kill(os.getpid(), signal.SIGKILL)
            entry = await put(self, name, value, **options)
            if value != b"rt-test-0":
                os.kill(os.getpid(), signal.SIGKILL)
            return entry
        LocalStore.put = dying
        environment = {world.environment!r}
        text = {policy!r}
        store = CredentialStore(make_policy(text).secrets, environment=environment, caller=caller_proxies(environment))
        print(asyncio.run(store.get("key")).reveal(), flush=True)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=60,
    )


def test_a_gateway_that_is_killed_loses_no_refresh_token(world: World, service: TokenService) -> None:
    ended = gateway(world, "after")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, ""), ended.stderr
    assert service.refresh_token == "rt-test-1"
    assert world.get(REFRESH, *OTHERS) == "at-test-2"


def test_no_access_token_is_used_before(world: World, service: TokenService) -> None:
    """The moment in which nobody can help: the service has answered, and nothing is on the disk yet."""
    ended = gateway(world, "before")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, ""), ended.stderr
    with pytest.raises(SecretUnavailable, match="has ended"):
        world.get(REFRESH, *OTHERS)
