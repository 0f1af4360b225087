"""Claude Code, the real program, with a stand-in for the Messages API that gives 401 to all but the real key."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from demo.messages_api import Behaviour, serve

from tests.clients.conftest import Desk, assert_only_the_placeholder, probe
from tests.conftest import CLIENTS
from tests.support.caller import LIMIT
from tests.support.serve import Serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap", "claude")

HOST = "api.anthropic.com"
KEY = "sk-ant-test-synthetic0123456789abcdefghijklmnopqrstuvwxyz"
POLICY = """\
version: 1
secrets:
  anthropic: {{env: ANTHROPIC_API_KEY, expose: ANTHROPIC_API_KEY}}
destinations:
  - host: api.anthropic.com
    connect_to: 127.0.0.1:{port}
    ca: {ca}
    allow: [{allow}]
    inject: [{inject}]
sandbox: {{env: {{set: {{CLAUDE_CODE_MAX_RETRIES: "0", EXTRA: "{extra}"}}}}}}
"""
MESSAGES = "POST /v1/messages"
INJECT = "{header: x-api-key, secret: anthropic}"

PROBE = probe("sk-ant")


@pytest.fixture
def model(desk: Desk, server_ca) -> Iterator[Behaviour]:
    behaviour = Behaviour(KEY)
    certificate = desk.caller.home / "server.pem"
    server_ca.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    server = serve(behaviour, certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    desk.caller.environment["ANTHROPIC_API_KEY"] = KEY
    desk.caller.environment["MODEL_PORT"] = str(server.server_address[1])
    yield behaviour
    server.shutdown()
    thread.join()
    server.server_close()


def policy(desk: Desk, allow: str = MESSAGES, inject: str = INJECT, extra: str = "") -> str:
    port = desk.caller.environment["MODEL_PORT"]
    text = POLICY.format(port=port, ca=desk.ca, allow=allow, inject=inject, extra=extra)
    return str(desk.caller.file(desk.policy, text))


def claude(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    return desk.caller.outward("run", "--quiet", "--policy", str(desk.policy), "--", "claude", *arguments)


def keys_seen(model: Behaviour) -> set[str | None]:
    return {request["headers"].get("x-api-key") for request in model.requests}


def tool_result(model: Behaviour) -> str:
    """What the agent sent back as the result of the tool call."""
    blocks: list[dict[str, Any]] = [
        block
        for request in model.requests
        for message in (request["body"] or {}).get("messages", [])
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    (result,) = [block for block in blocks if block["type"] == "tool_result"]
    return json.dumps(result["content"])


def assert_only_ours(seen: str) -> None:
    assert_only_the_placeholder(seen, "ANTHROPIC_API_KEY", KEY)


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_it_answers_with_a_key_that_it_does_not_have(desk, model):
    policy(desk)
    done = claude(desk, "-p", "hi")
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert keys_seen(model) == {KEY}
    desk.assert_recorded(HOST, agent="claude", credential="anthropic", value=KEY)
    # The same home, environment and process view as the agent's.
    seen = desk.inside(PROBE, agent="claude")
    assert seen.returncode == 0, seen.stderr
    assert_only_ours(seen.stdout)


def test_the_probe_finds_a_key_where_there_is_one(desk, model):
    policy(desk, extra=KEY)
    with pytest.raises(AssertionError):
        assert_only_ours(desk.inside(PROBE, agent="claude").stdout)


def test_the_placeholder_alone_opens_nothing(desk, model):
    policy(desk, inject="{header: x-other, secret: anthropic}")
    done = claude(desk, "-p", "hi")
    assert done.returncode != 0
    assert model.text not in done.stdout
    assert model.requests
    assert KEY not in keys_seen(model)


def test_it_answers_with_a_subscription_s_token_that_it_does_not_have(desk, model):
    token = KEY.replace("sk-ant-test-", "sk-ant-oat01-")
    model.key = desk.caller.environment["CLAUDE_CODE_OAUTH_TOKEN"] = token
    policy(desk, inject="{header: authorization, value: 'Bearer {anthropic}'}")
    desk.policy.write_text(desk.policy.read_text().replace("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"))
    done = claude(desk, "-p", "hi")
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert {request["headers"].get("authorization") for request in model.requests} == {f"Bearer {token}"}
    desk.assert_recorded(HOST, agent="claude", credential="anthropic", value=token)


def test_what_the_policy_does_not_allow_never_arrives(desk, model):
    policy(desk, allow="POST /v1/messages/count_tokens")
    done = claude(desk, "-p", "hi")
    assert done.returncode != 0
    assert "not allowed by the policy" in done.stdout + done.stderr
    assert not model.requests


def test_its_shell_has_only_the_placeholder_and_its_curl_is_refused(desk, model):
    policy(desk)
    model.tool = f"{PROBE}\ncurl -sS -i https://evil.example/"
    done = claude(desk, "-p", "hi", "--dangerously-skip-permissions")
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    result = tool_result(model)
    assert_only_ours(result)
    assert "HTTP/1.1 403 Forbidden" in result
    assert "x-outward-verdict: deny" in result
    (refused,) = [record for record in desk.caller.journal() if record.get("host") == "evil.example"]
    assert (refused["verdict"], refused["code"], refused["agent"]) == ("deny", "host_not_allowed", "claude")
    desk.assert_recorded(HOST, agent="claude", credential="anthropic", value=KEY)


@pytest.mark.needs("git")
@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_what_it_changed_is_reviewed_and_taken_over(desk, model):
    """A repository that Claude Code worked in: it edits, commits, and plants what its next reader would run."""
    caller = desk.caller
    caller.file(caller.workspace / "app.py", "print('one')\n", 0o644)
    caller.file(caller.workspace / ".env", f"KEY={KEY}\n")
    git(caller, "init", "--quiet")
    git(caller, "add", "app.py")
    git(caller, "commit", "--quiet", "-m", "one")
    policy(desk)
    model.tool = (
        "cat .env; sed -i s/one/two/ app.py; mkdir -p lib; echo 'two = 2' >lib/two.py;"
        "git -c user.name=a -c user.email=a@b commit -qam two;"
        "mkdir -p .github/workflows .claude; echo evil >.github/workflows/ci.yml; echo {} >.claude/settings.json; ln -s /etc out"
    )
    words = ("claude", "-p", "hi", "--dangerously-skip-permissions")
    done = caller.outward("run", "--mode", "review", "--policy", str(desk.policy), "--", *words)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert "outward review" in done.stderr
    assert ".env: No such file" in tool_result(model)
    assert git(caller, "log", "--format=%s") == "one\n"
    assert git(caller, "status", "--short") == "?? .env\n"

    review = caller.outward("review")
    assert "-print('one')\n+print('two')\n" in review.stdout
    assert "files of the repository itself" in review.stdout
    assert KEY not in review.stdout
    found = {change["path"]: change for change in json.loads(caller.outward("review", "--json").stdout)["changes"]}
    suspicious = {path for path, change in found.items() if change["suspicious"]}
    assert suspicious == {".github/workflows/ci.yml", ".claude/settings.json", "out"}

    applied = caller.outward("apply")
    assert applied.returncode == 1
    assert git(caller, "log", "--format=%s") == "two\none\n"
    assert git(caller, "fsck", "--strict") == ""
    assert git(caller, "status", "--short") == "?? .env\n?? lib/\n"
    assert (caller.workspace / "lib" / "two.py").read_text() == "two = 2\n"
    assert not (caller.workspace / ".claude" / "settings.json").exists()
    assert caller.outward("discard").returncode == 0
    assert not (caller.workspace / "out").is_symlink()


@pytest.mark.needs("git")
@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_what_it_changed_is_thrown_away(desk, model):
    """As if it had never been: the same files with the same content and times, and nothing to review."""
    caller = desk.caller
    caller.file(caller.workspace / "app.py", "print('one')\n", 0o644)
    git(caller, "init", "--quiet")
    git(caller, "add", "app.py")
    git(caller, "commit", "--quiet", "-m", "one")
    policy(desk)
    before = state_of(caller.workspace)
    model.tool = (
        "sed -i s/one/two/ app.py; git -c user.name=a -c user.email=a@b commit -qam two; ln -s /etc out; touch new"
    )
    words = ("claude", "-p", "hi", "--dangerously-skip-permissions")
    done = caller.outward("run", "--mode", "review", "--policy", str(desk.policy), "--", *words)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert "+print('two')" in caller.outward("review").stdout

    assert caller.outward("discard").returncode == 0
    assert state_of(caller.workspace) == before
    assert caller.outward("review").returncode != 0
    assert not list((caller.state / "layers").iterdir())


def state_of(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and content of everything below."""
    return {
        str(path.relative_to(directory)): (
            (status := path.lstat()).st_mode,
            status.st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(directory.rglob("*"))
    }


def git(caller: Caller, *words: str) -> str:
    """Git of the caller's own, outside."""
    user = [] if caller.uid is None else ["setpriv", f"--reuid={caller.uid}", f"--regid={caller.uid}", "--clear-groups"]
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    argv = [*user, "git", *words]
    environment = {**caller.env(), **names, "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(argv, cwd=caller.workspace, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def reverse(desk: Desk, directory: Path) -> Iterator[Serve]:
    """``outward serve --reverse`` that stands for the API."""
    text = desk.policy.read_text().removeprefix("version: 1\n")
    server = Serve(directory, text, "--reverse", f"127.0.0.1:0=https://{HOST}", env={"ANTHROPIC_API_KEY": KEY})
    try:
        yield server
    finally:
        server.stop()


def outside(desk: Desk, base_url: str) -> subprocess.CompletedProcess[str]:
    """Claude Code without a sandbox, with a key of no worth. What does not go to the base URL goes nowhere."""
    environment = {
        "HOME": str(desk.caller.home),
        "PATH": desk.caller.environment["PATH"],
        "ANTHROPIC_API_KEY": "sk-ant-test-dummy",
        "ANTHROPIC_BASE_URL": base_url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.run(
        ["claude", "-p", "hi"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        executable=CLIENTS / "claude",
        cwd=desk.caller.workspace,
        timeout=LIMIT,
    )


def test_outside_of_a_sandbox_by_its_base_url(desk, model, tmp_path):
    policy(desk)
    with reverse(desk, tmp_path) as server:
        done = outside(desk, f"http://{server.address}")
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert keys_seen(model) == {KEY}
    starts = [record for record in server.journal() if record["phase"] == "start"]
    assert {(record["host"], *record["secrets"]) for record in starts} == {(HOST, "anthropic")}


def test_outside_of_a_sandbox_the_policy_still_decides(desk, model, tmp_path):
    policy(desk, allow="POST /v1/messages/count_tokens")
    with reverse(desk, tmp_path) as server:
        done = outside(desk, f"http://{server.address}")
    assert done.returncode != 0
    assert "not allowed by the policy" in done.stdout + done.stderr
    assert not model.requests


class TestItsOwnSandbox:
    """Settings of the system decide about it, whatever the workspace says."""

    TOOL = "env | grep SANDBOX_RUNTIME; curl -sS -i https://evil.example/"
    ON = "SANDBOX_RUNTIME=1"

    @pytest.fixture
    def asked(self, desk, model):
        """What its shell says under a workspace's settings."""

        def ask(settings: dict[str, Any], *before: str) -> str:
            desk.caller.file(desk.caller.workspace / ".claude" / "settings.json", json.dumps({"sandbox": settings}))
            model.tool = self.TOOL
            words = (*before, "claude", "-p", "hi", "--dangerously-skip-permissions")
            done = desk.caller.outward("run", "--quiet", "--policy", str(desk.policy), *words)
            assert done.returncode == 0, done.stderr
            result = tool_result(model)
            assert "x-outward-verdict: deny" in result
            return result

        return ask

    def nested(self, desk) -> None:
        policy(desk)
        desk.policy.write_text(desk.policy.read_text().replace("sandbox: {", "sandbox: {seccomp: nested, "))

    def test_it_is_off_where_it_could_not_start(self, desk, asked):
        policy(desk)
        assert self.ON not in asked({"enabled": True, "failIfUnavailable": True})

    @pytest.mark.needs("socat")
    def test_it_leads_to_our_gateway_where_it_can(self, desk, asked):
        self.nested(desk)
        assert self.ON in asked({"enabled": False, "network": {"httpProxyPort": 9}})

    def test_without_ours_the_workspace_decides(self, desk, asked):
        """A shell that starts it is no agent that we know."""
        self.nested(desk)
        assert self.ON not in asked({"enabled": False}, "env")
