"""What of a log-in comes along: tokens as stand-ins, and only what is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from outward.agents.logins import LOG_INS, bring_along, remember
from outward.core import HostError
from outward.policy import load
from tests.unit.policy.conftest import HOME, FakeRegistries

if TYPE_CHECKING:
    from pathlib import Path

CLAUDE = {
    "claudeAiOauth": {
        "accessToken": "REAL-access",
        "refreshToken": "REAL-refresh",
        "expiresAt": 5,
        "scopes": ["user:inference"],
        "subscriptionType": "max",
        "unknown": "REAL-unknown",
    },
    "mcpOAuth": {"x": {"accessToken": "REAL-other"}},
}
STAND_INS = {"claude-access": "fake-access", "claude-refresh": "fake-refresh"}


def test_tokens_become_stand_ins_and_nothing_else_comes_along():
    log_in = LOG_INS["claude"]
    assert log_in.found(CLAUDE) == {"claude-refresh": "REAL-refresh", "claude-access": "REAL-access"}
    inside = log_in.inside(CLAUDE, STAND_INS)
    assert "REAL" not in json.dumps(inside)
    assert inside["claudeAiOauth"] == {
        "accessToken": "fake-access",
        "refreshToken": "fake-refresh",
        "expiresAt": 5,
        "scopes": ["user:inference"],
        "subscriptionType": "max",
    }


@pytest.mark.parametrize("document", [None, [], {}, {"claudeAiOauth": "x"}, {"claudeAiOauth": {"refreshToken": 1}}])
def test_a_file_without_a_log_in(document):
    with pytest.raises(HostError, match="it holds no claudeAiOauth"):
        LOG_INS["claude"].found(document)


@pytest.mark.parametrize("log_in", LOG_INS.values(), ids=LOG_INS)
def test_its_secrets_are_those_of_the_preset(log_in):
    policy = load(None, presets=[log_in.preset], registries=FakeRegistries(), home=HOME)
    assert {policy.secrets[name].source for name in log_in.tokens.values()} == {"captured"}
    assert next(iter(log_in.tokens.values())).endswith("refresh"), "the first that is kept"


def test_each_home_without_a_log_in_gets_it(tmp_path: Path):
    remember(tmp_path, "builder", "claude", LOG_INS["claude"].inside(CLAUDE, STAND_INS))
    for name, held in (("new", None), ("old", '{"claudeAiOauth": {"expiresAt": 9}}')):
        home = tmp_path / name
        (home / ".claude").mkdir(parents=True)
        file = home / ".claude/.credentials.json"
        if held:
            file.write_text(held)
        bring_along(tmp_path, "builder", "claude", home)
        assert json.loads(file.read_text())["claudeAiOauth"]["expiresAt"] == (9 if held else 5)


def test_where_nothing_was_brought_nothing_is_written(tmp_path: Path):
    for agent, program in (("builder", "claude"), ("builder", "generic")):
        bring_along(tmp_path, agent, program, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_planted_link_leads_nowhere(tmp_path: Path):
    remember(tmp_path, "builder", "claude", LOG_INS["claude"].inside(CLAUDE, STAND_INS))
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (home / ".claude").symlink_to(outside)
    with pytest.raises(HostError):
        bring_along(tmp_path, "builder", "claude", home)
    assert list(outside.iterdir()) == []
