"""Google's token endpoint for service accounts and its impersonation, on loopback."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable
from tests.support.minters import Google, Key

if TYPE_CHECKING:
    from tests.integration.sources.conftest import World

SECRET = "key: {gcp_token: {key: account}}"
CI = "key: {gcp_token: {key: account, impersonate: ci@acme.iam.gserviceaccount.com}}"
ACCOUNT = "account: {env: ACCOUNT}"
KEY = Key()
FILE = {
    "type": "service_account",
    "client_email": "agent@acme.iam.gserviceaccount.com",
    "private_key_id": "key-1",
    "private_key": KEY.private,
    "token_uri": "https://elsewhere.example/token",
}


@pytest.fixture
def google(world: World) -> Google:
    keeper = Google(KEY)
    world.keep(keeper, "oauth2.googleapis.com", "iamcredentials.googleapis.com")
    world.environment["ACCOUNT"] = json.dumps(FILE)
    return keeper


def test_a_service_account(world: World, google: Google) -> None:
    assert world.get(SECRET, ACCOUNT) == "ya29.test-0"
    world.get(SECRET.replace("account", "account, scopes: [a, b]"), ACCOUNT)
    assert list(google.tokens.values()) == ["https://www.googleapis.com/auth/cloud-platform", "a b"]
    assert set(world.proxy.targets) == {"CONNECT oauth2.googleapis.com:443"}, "not where the file says"


def test_another_account(world: World, google: Google) -> None:
    assert world.get(CI, ACCOUNT).startswith("ya29.impersonated:https://")
    google.lifetime = "600s"
    assert (
        world.get(CI.replace("account,", "account, scopes: [a, b], lifetime: 10m,"), ACCOUNT) == "ya29.impersonated:a+b"
    )
    with pytest.raises(SecretUnavailable, match="status 400"):
        world.get(CI, ACCOUNT)
    google.impersonated.clear()
    with pytest.raises(SecretUnavailable, match="does not let the account be ci@acme") as caught:
        world.get(CI, ACCOUNT)
    assert "serviceAccountTokenCreator" in caught.value.hint
    assert "sk-leak" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"private_key": Key().private}, {"client_email": "x@y.z"}, {"private_key_id": "key-2"}]
)
def test_every_part_of_the_key_counts(world: World, google: Google, change: dict[str, str]) -> None:
    world.environment["ACCOUNT"] = json.dumps(FILE | change)
    for secret in (SECRET, CI):
        with pytest.raises(SecretUnavailable, match="does not take the log-in") as caught:
            world.get(secret, ACCOUNT)
        assert "sk-leak" not in str(caught.value)


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_clock_that_is_wrong(world: World, google: Google, monkeypatch: pytest.MonkeyPatch, skew: int) -> None:
    wrong = datetime.now(UTC).timestamp() + skew
    monkeypatch.setattr("outward.credentials.sources.assertion.time", SimpleNamespace(time=lambda: wrong))
    with pytest.raises(SecretUnavailable, match="does not take the log-in") as caught:
        world.get(SECRET, ACCOUNT)
    assert "clock" in caught.value.hint


@pytest.mark.parametrize(
    "content", ["sk-leak", "[]", "{}", '{"client_email": 5}', json.dumps(FILE | {"private_key": "sk-leak"})]
)
def test_what_is_no_key(world: World, google: Google, content: str) -> None:
    world.environment["ACCOUNT"] = content
    with pytest.raises(SecretUnavailable, match="the secret account is not") as caught:
        world.get(SECRET, ACCOUNT)
    assert "sk-leak" not in str(caught.value)
    assert not google.seen


def test_answers_that_are_none(world: World, google: Google) -> None:
    for broken, why in (((500, b"sk-leak"), "status 500"), ((200, b"sk-leak"), "not JSON"), ((302, b""), "redirect")):
        google.broken = broken
        with pytest.raises(SecretUnavailable, match=why) as caught:
            world.get(SECRET, ACCOUNT)
        assert "sk-leak" not in str(caught.value)
