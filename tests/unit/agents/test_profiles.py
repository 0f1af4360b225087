from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from outward.agents import PROFILES, Seeding, home_of, managed_files, plant, profile_of

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-ant-test-" + "a" * 40 + "ENDS-IN-TWENTY-CHARS"


@pytest.mark.parametrize(
    ("command", "name", "preset"),
    [
        ("claude", "claude", "claude-code"),
        ("/home/me/.local/bin/claude", "claude", "claude-code"),
        ("codex", "codex", "codex"),
        ("./gemini", "gemini", "gemini-cli"),
        ("claude-not", "generic", None),
        ("bash", "generic", None),
        ("", "generic", None),
    ],
)
def test_an_agent_is_known_by_its_command(command, name, preset):
    profile = profile_of(command)
    assert (profile.name, profile.preset) == (name, preset)


def test_no_command_belongs_to_two_agents():
    commands = [command for profile in PROFILES.values() for command in profile.commands]
    assert len(set(commands)) == len(commands)


def planted(home: Path, agent: str, **placeholders: str) -> dict[str, Any]:
    plant(home, PROFILES[agent].seeds, Seeding("/work/project", placeholders))
    return {str(path.relative_to(home)): json.loads(path.read_text()) for path in home.rglob("*.json")}


def test_claude_starts_without_asking_and_accepts_the_placeholder(tmp_path):
    (content,) = planted(tmp_path, "claude", ANTHROPIC_API_KEY=KEY).values()
    assert content["hasCompletedOnboarding"] is True
    assert content["customApiKeyResponses"]["approved"] == ["ENDS-IN-TWENTY-CHARS"]
    assert content["projects"]["/work/project"]["hasTrustDialogAccepted"] is True
    assert KEY not in json.dumps(content)


def test_claude_without_a_key_approves_none(tmp_path):
    (content,) = planted(tmp_path, "claude").values()
    assert "customApiKeyResponses" not in content


def test_codex_without_a_key_gets_no_file(tmp_path):
    assert planted(tmp_path, "codex") == {}
    assert planted(tmp_path, "codex", OPENAI_API_KEY=KEY) == {".codex/auth.json": {"OPENAI_API_KEY": KEY}}


def test_codex_leaves_the_sandbox_to_us(tmp_path):
    planted(tmp_path, "codex")
    settings = tomllib.loads((tmp_path / ".codex/config.toml").read_text())
    assert settings["sandbox_mode"] == "danger-full-access"
    assert settings["projects"]["/work/project"]["trust_level"] == "trusted"


def test_gemini_uses_a_key_only_if_it_has_one(tmp_path):
    assert "security" not in planted(tmp_path, "gemini")[".gemini/settings.json"]
    assert "security" in planted(tmp_path, "gemini", GEMINI_API_KEY=KEY)[".gemini/settings.json"]


def test_what_the_agent_keeps_there_is_not_lost(tmp_path):
    file = tmp_path / ".claude.json"
    file.write_text(json.dumps({"theme": "dark", "projects": {"/other": {"x": 1}}, "hasCompletedOnboarding": False}))
    content = planted(tmp_path, "claude")[".claude.json"]
    assert content["theme"] == "dark"
    assert content["projects"]["/other"] == {"x": 1}
    assert content["hasCompletedOnboarding"] is True


def test_claudes_own_sandbox_is_off_or_leads_to_us():
    ((path, text),) = managed_files(PROFILES["claude"].managed, nested=False)
    assert path == "/etc/claude-code/managed-settings.json"
    assert json.loads(text) == {"sandbox": {"enabled": False}}
    ((_, text),) = managed_files(PROFILES["claude"].managed, nested=True)
    own = json.loads(text)["sandbox"]
    assert (own["enabled"], own["allowUnsandboxedCommands"], own["network"]) == (True, False, {"httpProxyPort": 3128})


class TestHomes:
    def test_each_agent_has_one_for_each_project(self, tmp_path):
        projects = ("/work/a", "/work/b", "/other/a", "/work/a b", "/work/a/b", "/")
        homes = [home_of(tmp_path, agent, project) for agent in ("claude", "codex") for project in projects]
        assert len(set(homes)) == len(homes)
        assert home_of(tmp_path, "claude", "/work/a") == homes[0]

    @pytest.mark.parametrize("project", ["/", "/work/..", "/work/ü\udcff", "/work/" + "x" * 255, "/work/a\nb"])
    def test_it_is_a_directory_of_its_agents(self, tmp_path, project):
        home = home_of(tmp_path, "claude", project)
        assert home.parent == tmp_path / "homes" / "claude"
        home.mkdir(parents=True)
        assert home.resolve() == home
