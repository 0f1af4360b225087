"""Claude Code and Codex, the real programs, with the log-in of a subscription: they refresh it, and never hold a token."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from demo.messages_api import Behaviour, serve

from outward.policy.load import PRESETS
from tests.clients.conftest import Desk, spellings
from tests.clients.responses_api import Model
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
    assert_unseen(desk, [*tokens.issued, "sk-REAL-of-something-else"])


def assert_unseen(desk: Desk, tokens: list[str]) -> None:
    files = [path for path in desk.caller.state.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    for file in files:
        content = file.read_bytes()
        for token in tokens:
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


# -- Codex


class CodexAccount:
    """auth.openai.com and chatgpt.com, for a person who confirms the device at the second question."""

    def __init__(self) -> None:
        self.model = Model()
        self.issued: list[str] = []
        self.forms: list[dict[str, str]] = []
        self._polls = 0

    def _jwt(self, what: str) -> str:
        account = {"chatgpt_plan_type": "plus", "chatgpt_account_id": "acct-1", "chatgpt_user_id": "user-1"}
        claims = {"email": "me@corp.example", "exp": int(time.time()) + 3600, "https://api.openai.com/auth": account}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in ({"alg": "RS256"}, claims)
        ]
        token = f"{parts[0]}.{parts[1]}.REAL{what}{len(self.issued):030d}"
        self.issued.append(token.rpartition(".")[2])
        return token

    def log_in(self, asked: Asked) -> Reply:
        kind = (("content-type", "application/json"),)
        if asked.path == "/api/accounts/deviceauth/usercode":
            document: dict[str, Any] = {"device_auth_id": "d1", "user_code": "ABCD-1234", "interval": "1"}
        elif asked.path == "/api/accounts/deviceauth/token":
            self._polls += 1
            if self._polls < 2:
                return Reply(403, b"{}", kind)
            self.issued += ["REALcode-0123456789abcdef", "REALverifier-0123456789abcdef0123456789abcdef"]
            document = {"authorization_code": self.issued[0], "code_verifier": self.issued[1], "code_challenge": "c"}
        else:
            sent = dict(parse_qsl(asked.body.decode())) if b"=" in asked.body else json.loads(asked.body)
            self.forms.append(sent)
            self.access = self._jwt("access")
            document = {"id_token": self._jwt("id"), "access_token": self.access}
            self.issued.append(f"REALrefresh{len(self.issued):030d}")
            document["refresh_token"] = self.issued[-1]
        return Reply(200, json.dumps(document).encode(), kind)

    def chat(self, asked: Asked) -> Reply:
        if asked.headers["authorization"] != f"Bearer {self.access}":
            return Reply(401)
        if asked.path.endswith("/accounts/check"):
            account = {"id": "acct-1", "workspace_backend_origin": "https://chatgpt.com"}
            account |= {"account_routing_override": "NO_CONSTRAINT"}
            document = {"accounts": [account], "account_ordering": ["acct-1"]}
            return Reply(200, json.dumps(document).encode(), (("content-type", "application/json"),))
        if not asked.path.endswith("/responses"):
            return Reply(404)
        return self.model(asked._replace(path="/v1/responses"))


@pytest.mark.needs("codex", "node24")
def test_codex_logs_in_by_device_and_never_holds_a_token(desk: Desk, site: Callable[..., Site]) -> None:
    account = CodexAccount()
    login = site("auth.openai.com", account.log_in, credential=None)
    chat = site("chatgpt.com", account.chat, credential=None)
    text = (PRESETS / "codex-subscription.yaml").read_text()
    for each in (login, chat):
        here = f"    host: {each.host}\n"
        text = text.replace(here, f"{here}    connect_to: 127.0.0.1:{each.port}\n    ca: {desk.ca}\n")
    desk.caller.file(desk.policy, text)
    assert desk.caller.outward("secret", "init", "--key-file").returncode == 0

    run = ("run", "--quiet", "--policy", str(desk.policy), "--", "codex")
    done = desk.caller.outward(*run, "login", "--device-auth")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ABCD-1234" in done.stdout + done.stderr
    (form,) = account.forms
    assert (form["code"], form["code_verifier"]) == (account.issued[0], account.issued[1]), "the real ones went out"
    assert_unseen(desk, account.issued)
    (file,) = (desk.caller.state / "homes/codex").glob("*/.codex/auth.json")
    held = json.loads(file.read_text())["tokens"]
    assert held["account_id"] == "acct-1", "it has read the claims"

    done = desk.caller.outward(*run, "exec", "--skip-git-repo-check", "hi")
    assert (done.stdout.strip(), done.returncode) == (account.model.text, 0), done.stderr
    assert_unseen(desk, account.issued)
