"""Claude Code and Codex, the real programs, with the log-in of a subscription: they refresh it, and never hold a token."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from demo.messages_api import Behaviour, serve

from outward.policy.load import PRESETS
from tests.clients.conftest import Desk, spellings
from tests.clients.site import Asked, Reply, Site

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs("bubblewrap", "claude")

API = "api.anthropic.com"
LOGIN = "platform.claude.com"


@dataclass
class Tokens:
    """A token endpoint: each refresh token is good for one use, and each access token replaces the one before."""

    model: Behaviour
    issued: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def issue(self) -> tuple[str, str]:
        number = len(self.issued)
        pair = (f"sk-ant-oat01-REALaccess{number:040d}", f"sk-ant-ort01-REALrefresh{number:040d}")
        self.issued += pair
        self.model.key = pair[0]
        return pair

    def __call__(self, asked: Asked) -> Reply:
        sent = json.loads(asked.body)
        self.asked.append(sent)
        kind = (("content-type", "application/json"),)
        if sent.get("refresh_token") != self.issued[-1]:
            return Reply(400, json.dumps({"error": "invalid_grant", "sent": sent}).encode(), kind)
        access, refresh = self.issue()
        document = {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_in": 28800}
        return Reply(200, json.dumps(document | {"scope": "user:inference user:profile"}).encode(), kind)


@pytest.fixture
def model(desk: Desk, server_ca) -> Iterator[Behaviour]:
    behaviour = Behaviour("")
    certificate = desk.caller.home / "server.pem"
    server_ca.issue_cert(API).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    server = serve(behaviour, certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    desk.caller.environment["MODEL_PORT"] = str(server.server_address[1])
    yield behaviour
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tokens(site: Callable[..., Site], desk: Desk, model: Behaviour) -> Tokens:
    tokens = Tokens(model)
    login = site(LOGIN, tokens, credential=None)
    text = (PRESETS / "claude-subscription.yaml").read_text()
    for host, port in ((LOGIN, str(login.port)), (API, desk.caller.environment["MODEL_PORT"])):
        here = f"    host: {host}\n"
        assert here in text
        text = text.replace(here, f"{here}    connect_to: 127.0.0.1:{port}\n    ca: {desk.ca}\n")
    desk.caller.file(desk.policy, text)
    # A log-in outside whose access token is no good any more.
    access, refresh = tokens.issue()
    model.key = ""
    mine = {"accessToken": access, "refreshToken": refresh, "expiresAt": int((time.time() - 60) * 1000)}
    more = {"scopes": ["user:inference", "user:profile"], "subscriptionType": "max"}
    other = {"mcpOAuth": {"x": {"accessToken": "sk-REAL-of-something-else"}}}
    desk.caller.file(
        desk.caller.home / ".claude/.credentials.json", json.dumps({"claudeAiOauth": mine | more, **other})
    )
    return tokens


def claude(desk: Desk) -> subprocess.CompletedProcess[str]:
    return desk.caller.outward("run", "--quiet", "--policy", str(desk.policy), "--", "claude", "-p", "hi")


def inner(desk: Desk) -> Path:
    (file,) = (desk.caller.state / "homes/claude").glob("*/.claude/.credentials.json")
    return file


def assert_no_token(desk: Desk, tokens: Tokens) -> None:
    """None that was ever issued, nor anything else of the file outside, is below the state directory in any spelling."""
    files = [path for path in desk.caller.state.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    for file in files:
        content = file.read_bytes()
        for token in (*tokens.issued, "sk-REAL-of-something-else"):
            assert not any(form in content for form in spellings(token)), f"{file} holds a token"


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_claude_refreshes_a_log_in_whose_tokens_it_never_holds(desk: Desk, tokens: Tokens, model: Behaviour) -> None:
    assert desk.caller.outward("secret", "init", "--key-file").returncode == 0
    done = desk.caller.outward("secret", "import", "claude")
    assert done.returncode == 0, done.stderr
    assert_no_token(desk, tokens)
    (brought,) = (desk.caller.state / "log-ins/claude").iterdir()
    before = json.loads(brought.read_text())["claudeAiOauth"]

    done = claude(desk)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr + done.stdout
    assert [sent["refresh_token"] for sent in tokens.asked] == [tokens.issued[1]], "the real one went out"
    heads = [
        {name.lower(): value for name, value in request["headers"].items()}
        for request in model.requests
        if "/messages" in request["path"]
    ]
    assert {head["authorization"] for head in heads} == {f"Bearer {tokens.issued[2]}"}
    assert all("oauth-" in head["anthropic-beta"] for head in heads)

    after = json.loads(inner(desk).read_text())["claudeAiOauth"]
    assert after["expiresAt"] > before["expiresAt"], "it has written the file anew"
    assert_no_token(desk, tokens)

    # Another day: the same placeholders, from the store.
    done = claude(desk)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr + done.stdout
    assert_no_token(desk, tokens)


def test_without_capture_its_file_holds_the_real_token(desk: Desk, tokens: Tokens, model: Behaviour) -> None:
    text = desk.policy.read_text()
    captures = "        capture: {access_token: claude-access, refresh_token: claude-refresh}\n"
    assert captures in text
    desk.caller.file(desk.policy, text.replace(captures, ""))
    assert desk.caller.outward("secret", "init", "--key-file").returncode == 0
    assert desk.caller.outward("secret", "import", "claude").returncode == 0
    claude(desk)
    held = json.loads(inner(desk).read_text())["claudeAiOauth"]
    assert held["accessToken"] in tokens.issued
