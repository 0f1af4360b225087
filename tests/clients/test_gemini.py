"""Gemini CLI, the real program, with a stand-in for its API that gives 401 to all but the real key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import Desk, assert_only_the_placeholder, probe
from tests.clients.site import Asked, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.clients.site import Site

pytestmark = pytest.mark.needs("bubblewrap", "gemini", "node24")

HOST = "generativelanguage.googleapis.com"
KEY = "AIzaSyTest-synthetic0123456789abcdefghi"
PROBE = probe("AIzaSy")
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"


@dataclass
class Model:
    """What it says, after the result of ``tool``, a shell command, where there is one."""

    text: str = "Hello from the other side of the gateway."
    tool: str | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reply:
        if (asked.path, asked.query) != (STREAM, "alt=sse"):
            return Reply(404)
        request = json.loads(asked.body)
        self.requests.append(request)
        part: dict[str, Any] = {"text": self.text}
        if self.tool is not None and not self._results(request):
            part = {"functionCall": {"name": "run_shell_command", "args": {"command": self.tool}}}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        body = f"data: {json.dumps({'candidates': [candidate]})}\r\n\r\n".encode()
        return Reply(body=body, headers=(("content-type", "text/event-stream"),))

    @property
    def tool_result(self) -> str:
        """What the agent sent back as the result of the tool call."""
        (result,) = self._results(self.requests[-1])
        return str(result["response"]["output"])

    @staticmethod
    def _results(request: dict[str, Any]) -> list[dict[str, Any]]:
        parts = [part for content in request["contents"] for part in content["parts"]]
        return [part["functionResponse"] for part in parts if "functionResponse" in part]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def api(desk: Desk, site: Callable[..., Site], model: Model) -> Site:
    desk.caller.environment["GEMINI_API_KEY"] = KEY
    return site(HOST, model, credential=KEY, header="x-goog-api-key")


def gemini(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = ("gemini", "-m", "gemini-2.5-flash", *arguments, "-p", "hi")
    return desk.caller.outward("run", "--quiet", "--policy", str(desk.policy), "--", *line)


@pytest.mark.parametrize("desk", ["self", "unprivileged"], indirect=True)
def test_it_answers_with_a_key_that_it_does_not_have(desk, api, model):
    desk.use("gemini-cli", api)
    done = gemini(desk)
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert not api.turned_away
    desk.assert_recorded(HOST, agent="gemini", credential="gemini", value=KEY)
    # The same home, environment and process view as the agent's.
    seen = desk.inside(PROBE, agent="gemini")
    assert seen.returncode == 0, seen.stderr
    assert_only_the_placeholder(seen.stdout, "GEMINI_API_KEY", KEY)


def test_the_probe_finds_a_key_where_there_is_one(desk, api):
    desk.use("gemini-cli", api, more=f"sandbox: {{env: {{set: {{EXTRA: {KEY}}}}}}}\n")
    with pytest.raises(AssertionError):
        assert_only_the_placeholder(desk.inside(PROBE, agent="gemini").stdout, "GEMINI_API_KEY", KEY)


def test_another_key_opens_nothing(desk, api, model):
    desk.caller.environment["GEMINI_API_KEY"] = KEY[::-1]
    desk.use("gemini-cli", api)
    done = gemini(desk)
    assert done.returncode != 0
    assert model.text not in done.stdout
    assert api.turned_away
    assert not api.asked


def test_what_the_policy_does_not_allow_never_arrives(desk, api, model):
    desk.use("gemini-cli", api, without="      - POST /v1beta/models/*:streamGenerateContent")
    done = gemini(desk)
    assert done.returncode != 0
    assert "not allowed by the policy" in done.stdout + done.stderr
    assert not api.asked


def test_its_shell_has_only_the_placeholder_and_its_curl_is_refused(desk, api, model):
    desk.use("gemini-cli", api)
    model.tool = f"{PROBE}\ncurl -sS -i https://evil.example/"
    done = gemini(desk, "--yolo")
    assert (done.stdout.strip(), done.returncode) == (model.text, 0), done.stderr
    assert_only_the_placeholder(model.tool_result, "GEMINI_API_KEY", KEY)
    assert "HTTP/1.1 403 Forbidden" in model.tool_result
    assert "x-outward-verdict: deny" in model.tool_result
    (refused,) = [record for record in desk.caller.journal() if record.get("host") == "evil.example"]
    assert (refused["verdict"], refused["code"], refused["agent"]) == ("deny", "host_not_allowed", "gemini")


def test_without_a_policy_file_its_preset_applies(desk):
    done = desk.caller.outward("run", "--", "gemini", "--version")
    assert (done.stdout.strip(), done.returncode) == ("0.61.0", 0), done.stderr
    assert "using the preset 'gemini-cli'" in done.stderr


def test_the_policy_that_init_writes_is_enough(desk):
    done = desk.caller.outward("init", "--agent", "gemini")
    assert done.returncode == 0, done.stderr
    assert desk.caller.outward("check", "POST", f"https://{HOST}{STREAM}?alt=sse").returncode == 0
    assert desk.caller.outward("check", "POST", f"https://{HOST}/upload/v1beta/files").returncode == 3
