"""Codex, the real program, with a stand-in for the Responses API that gives 401 to all but the real key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import Desk, assert_only_the_placeholder, probe
from tests.clients.responses_api import Model
from tests.clients.site import Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.clients.site import Site

pytestmark = pytest.mark.needs("bubblewrap", "codex", "node24")

HOST = "api.openai.com"
KEY = "sk-proj-test-synthetic0123456789abcdefghijklmnopqrstuvwxyz"
WEBSOCKET = "      - GET /v1/responses "
PROBE = probe("sk-proj")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def api(desk: Desk, site: Callable[..., Site], model: Model) -> Site:
    desk.caller.environment["CODEX_API_KEY"] = KEY
    return site(HOST, model, credential=f"Bearer {KEY}")


def codex(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = ("codex", "exec", "--skip-git-repo-check", *arguments, "hi")
    return desk.caller.outward("run", "--quiet", "--policy", str(desk.policy), "--", *line)


def ends(desk: Desk, path: str = "/v1/responses") -> list[dict[str, Any]]:
    return [r for r in desk.caller.journal() if r["phase"] == "end" and r.get("path") == path]


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_it_answers_over_a_websocket_with_a_key_that_it_does_not_have(desk, api, model):
    desk.use("codex", api)
    done = codex(desk)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert model.ways == {"WebSocket"}
    assert not api.turned_away
    assert [(end["kind"], end["status"]) for end in ends(desk)] == [("websocket", 101)]
    desk.assert_recorded(HOST, agent="codex", credential="openai", value=KEY)
    # The same home, environment and process view as the agent's.
    seen = desk.inside(PROBE, agent="codex")
    assert seen.returncode == 0, seen.stderr
    assert_only_the_placeholder(seen.stdout, "CODEX_API_KEY", KEY)


def test_the_probe_finds_a_key_where_there_is_one(desk, api):
    desk.use("codex", api, more=f"sandbox: {{env: {{set: {{EXTRA: {KEY}}}}}}}\n")
    with pytest.raises(AssertionError):
        assert_only_the_placeholder(desk.inside(PROBE, agent="codex").stdout, "CODEX_API_KEY", KEY)


def test_it_answers_where_the_server_has_no_websockets(desk, api, model):
    model.websocket = False
    desk.use("codex", api)
    done = codex(desk)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert model.ways == {"POST"}
    assert [end["status"] for end in ends(desk)] == [426, 200]


def test_it_answers_where_the_policy_allows_no_websockets(desk, api, model):
    desk.use("codex", api, without=WEBSOCKET)
    done = codex(desk)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert model.ways == {"POST"}
    *refused, allowed = ends(desk)
    assert refused
    assert {(end["kind"], end["code"], end["status"]) for end in refused} == {("websocket", "method_not_allowed", 403)}
    assert allowed["status"] == 200
    assert [asked.method for asked in api.asked] == ["POST"], "no refused upgrade arrives"


def test_another_key_opens_nothing(desk, site, model):
    # A server without WebSockets: Codex would try to open one for six seconds.
    api = site(
        HOST, model, credential=f"Bearer {KEY}", otherwise=lambda asked: Reply(426 if asked.method == "GET" else 401)
    )
    desk.caller.environment["CODEX_API_KEY"] = KEY[::-1]
    desk.use("codex", api)
    done = codex(desk)
    assert done.returncode != 0
    assert model.text not in done.stdout
    assert {asked.headers["authorization"] for asked in api.turned_away} == {f"Bearer {KEY[::-1]}"}
    assert not api.asked


def test_its_shell_has_only_the_placeholder_and_its_curl_is_refused(desk, api, model):
    desk.use("codex", api)
    model.tool = f"{PROBE}\ncurl -sS -i https://evil.example/"
    done = codex(desk, "-m", "gpt-5.1-codex")
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert_only_the_placeholder(model.tool_result, "CODEX_API_KEY", KEY)
    assert "HTTP/1.1 403 Forbidden" in model.tool_result
    assert "x-outward-verdict: deny" in model.tool_result
    (refused,) = [record for record in desk.caller.journal() if record.get("host") == "evil.example"]
    assert (refused["verdict"], refused["code"], refused["agent"]) == ("deny", "host_not_allowed", "codex")


def test_without_a_policy_file_its_preset_applies(desk):
    desk.caller.environment["CODEX_API_KEY"] = KEY
    done = desk.caller.outward("run", "--", "codex", "login", "status")
    assert done.returncode == 0, done.stderr
    assert "using the preset 'codex'" in done.stderr
    assert "API key configured" in done.stderr


def test_the_policy_that_init_writes_is_enough(desk):
    desk.caller.environment["CODEX_API_KEY"] = KEY
    done = desk.caller.outward("init", "--agent", "codex")
    assert done.returncode == 0, done.stderr
    done = desk.caller.outward("run", "--", "codex", "login", "status")
    assert (done.returncode, "preset" in done.stderr) == (0, False), done.stderr
    assert "API key configured" in done.stderr
    assert desk.caller.outward("check", "POST", f"https://{HOST}/v1/responses").returncode == 0
    assert desk.caller.outward("check", "POST", f"https://{HOST}/v1/files").returncode == 3
