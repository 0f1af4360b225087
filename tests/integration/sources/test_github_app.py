"""GitHub's documented API for apps, on loopback: assertions, installations, and tokens that are limited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable
from tests.support.minters import GitHub, Key

if TYPE_CHECKING:
    from tests.integration.sources.conftest import World

SECRET = "key: {github_app: {app: 4711, private_key: pem, installation: acme/web}}"
PEM = "pem: {env: APP_KEY}"
KEY = Key()


def moment(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def github(world: World) -> GitHub:
    keeper = GitHub(KEY)
    keeper.expires_at = moment(hours=1)
    world.keep(keeper, "api.github.com")
    world.environment["APP_KEY"] = KEY.private
    return keeper


def test_a_token_of_an_installation(world: World, github: GitHub) -> None:
    assert world.get(SECRET, PEM) == "ghs_test1"
    assert world.get(SECRET.replace("acme/web", "77"), PEM) == "ghs_test2"
    assert world.get(SECRET.replace("4711", '"4711"'), PEM) == "ghs_test3"
    for change in (("acme/web", "acme/api"), ("acme/web", "78")):
        with pytest.raises(SecretUnavailable, match="knows no such installation"):
            world.get(SECRET.replace(*change), PEM)


def test_limited_to_repositories_and_permissions(world: World, github: GitHub) -> None:
    limits = "acme/web, repositories: [web], permissions: {contents: read, issues: write}"
    world.get(SECRET.replace("acme/web", limits), PEM)
    assert github.wanted == [{"repositories": ["web"], "permissions": {"contents": "read", "issues": "write"}}]
    for broken in ("repositories: [other]", "permissions: {contents: admin}", "permissions: {actions: read}"):
        with pytest.raises(SecretUnavailable, match="does not give the app what is asked for") as caught:
            world.get(SECRET.replace("acme/web", f"acme/web, {broken}"), PEM)
        assert "sk-leak" not in str(caught.value)


def test_github_enterprise(world: World) -> None:
    keeper = GitHub(KEY, "/api/v3")
    keeper.expires_at = moment(hours=1)
    world.keep(keeper, "github.corp.example")
    world.environment["APP_KEY"] = KEY.private
    secret = SECRET.replace("acme/web", "acme/web, url: https://github.corp.example/api/v3")
    assert world.get(secret, PEM) == "ghs_test1"
    with pytest.raises(SecretUnavailable, match="no such installation"):
        world.get(secret.replace("/api/v3", ""), PEM)


@pytest.mark.parametrize("skew", [-3600, -700, 700, 3600])
def test_a_clock_that_is_wrong(world: World, github: GitHub, monkeypatch: pytest.MonkeyPatch, skew: int) -> None:
    assert world.get(SECRET, PEM) == "ghs_test1"
    wrong = datetime.now(UTC).timestamp() + skew
    monkeypatch.setattr("outward.credentials.sources.assertion.time", SimpleNamespace(time=lambda: wrong))
    with pytest.raises(SecretUnavailable, match="does not take the app's log-in") as caught:
        world.get(SECRET, PEM)
    assert "clock" in caught.value.hint


def test_a_key_that_is_not_the_apps(world: World, github: GitHub) -> None:
    world.environment["APP_KEY"] = Key().private
    with pytest.raises(SecretUnavailable, match="does not take the app's log-in") as caught:
        world.get(SECRET, PEM)
    assert "sk-leak" not in str(caught.value)
    for broken in ("sk-leak", KEY.public.decode(), KEY.private[:200]):
        world.environment["APP_KEY"] = broken
        with pytest.raises(SecretUnavailable, match="pem is not an RSA private key") as caught:
            world.get(SECRET, PEM)
        assert "sk-leak" not in str(caught.value)


def test_answers_that_are_none(world: World, github: GitHub) -> None:
    for expires_at, why in (
        ("soon", "moment"),
        ("2026-01-01T00:00:00", "moment"),
        (moment(hours=-1), "expired already"),
    ):
        github.expires_at = expires_at
        with pytest.raises(SecretUnavailable, match=why):
            world.get(SECRET, PEM)
    for broken, why in (
        ((200, {"id": "../../x"}), "without an installation"),
        ((500, b"sk-leak"), "status 500"),
        ((200, b"sk-leak"), "not JSON"),
        ((403, {}), "denies it"),
    ):
        github.broken = broken
        with pytest.raises(SecretUnavailable, match=why) as caught:
            world.get(SECRET, PEM)
        assert "sk-leak" not in str(caught.value)
    github.broken, github.expires_at = None, moment(hours=1)
    assert world.get(SECRET, PEM).startswith("ghs_test")
