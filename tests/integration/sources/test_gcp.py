"""Google Cloud's documented HTTP API, served on loopback; google-auth is the real one, as an authorised user."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable
from outward.credentials.sources.gcp import credentials_file
from tests.support.keepers import SecretManager

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sources.conftest import World

SECRET = "key: {gcp: {project: acme, secret: github}}"
USER = {
    "type": "authorized_user",
    "client_id": "client-1",
    "client_secret": "client-secret-1",
    "refresh_token": "1//refresh-1",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.fixture
def manager(world: World) -> SecretManager:
    keeper = SecretManager()
    world.keep(keeper, "secretmanager.googleapis.com", "oauth2.googleapis.com")
    file = world.home / ".config/gcloud/application_default_credentials.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(USER))
    return keeper


def test_application_default_credentials(world: World, manager: SecretManager) -> None:
    assert world.get(SECRET) == "ghp_test-gcp"
    manager.values["/v1/projects/acme/secrets/github/versions/7:access"] = "Nw=="
    assert world.get(SECRET.replace("github", 'github, version: "7"')) == "7"
    assert set(world.proxy.targets) == {"CONNECT oauth2.googleapis.com:443", "CONNECT secretmanager.googleapis.com:443"}
    for broken in (SECRET.replace("acme", "other"), SECRET.replace("github", 'github, version: "8"')):
        with pytest.raises(SecretUnavailable, match="has no projects/"):
            world.get(broken)
    manager.tokens.clear()
    with pytest.raises(SecretUnavailable, match="does not take the log-in"):
        world.get(SECRET)


def test_a_log_in_that_has_ended(world: World, manager: SecretManager) -> None:
    manager.refresh = "1//refresh-2"
    with pytest.raises(SecretUnavailable, match="gives no log-in: RefreshError") as caught:
        world.get(SECRET)
    assert "gcloud auth application-default login" in caught.value.hint
    assert "sk-leak" not in str(caught.value)


def test_only_who_is_trusted_is_told_anything(
    world: World, manager: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SecretUnavailable, match="TransportError"):
        world.get(SECRET)
    assert not manager.seen


@pytest.mark.parametrize("content", ["", "{}", '{"type": "authorized_user"}', '{"type": "unknown"}'])
def test_a_file_that_is_no_credential(world: World, manager: SecretManager, content: str) -> None:
    file = world.home / "credentials.json"
    world.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)
    file.write_text(json.dumps(USER))
    assert world.get(SECRET) == "ghp_test-gcp"
    file.write_text(content)
    with pytest.raises(SecretUnavailable, match="no log-in"):
        world.get(SECRET)
    file.unlink()
    with pytest.raises(SecretUnavailable, match="no log-in"):
        world.get(SECRET)


def test_where_credentials_are(tmp_path: Path) -> None:
    assert credentials_file({"HOME": str(tmp_path)}) is None
    assert credentials_file({"GOOGLE_APPLICATION_CREDENTIALS": "/a", "HOME": str(tmp_path)}) is not None
    (tmp_path / "application_default_credentials.json").touch()
    assert credentials_file({"CLOUDSDK_CONFIG": str(tmp_path)}) is not None


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ((403, {}), "denies access"),
        ((400, {}), "disabled"),
        ((200, {"payload": {"data": "not base64"}}), "not base64"),
        ((200, {"payload": {}}), "without payload.data"),
        ((200, b"ghp_test"), "not JSON"),
        ((500, b"ghp_test"), "status 500"),
    ],
)
def test_what_is_no_answer_is_no_secret(
    world: World, manager: SecretManager, broken: tuple[int, object], why: str
) -> None:
    manager.broken = lambda seen: manager.reply(seen) if seen.target == "/token" else broken
    with pytest.raises(SecretUnavailable) as caught:
        world.get(SECRET)
    assert why in f"{caught.value} {caught.value.hint}"
    assert "ghp_test" not in str(caught.value)
