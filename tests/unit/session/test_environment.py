from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from outward.agents import PROFILES
from outward.core import NO_CALLER_PROXIES, HostError
from outward.policy import Policy, SandboxSpec, SecretSpec
from outward.session import Options
from outward.session.environment import build
from outward.workspace import Wanted, plan

if TYPE_CHECKING:
    from pathlib import Path


def environment(
    tmp_path: Path,
    caller: dict[str, str],
    *,
    placeholders: dict[str, str] | None = None,
    secrets: dict[str, SecretSpec] | None = None,
    terminal: bool = False,
    **sandbox: object,
) -> dict[str, str]:
    (tmp_path / "w").mkdir(exist_ok=True)
    options = Options(
        command=("true",),
        policy=Policy(secrets=MappingProxyType(secrets or {}), sandbox=SandboxSpec(**sandbox)),  # type: ignore[arg-type]
        profile=PROFILES["claude"],
        agent="claude",
        workspace=tmp_path / "w",
        mode="write",
        state=tmp_path / "state",
        config=tmp_path / "config",
        home=tmp_path / "home",
        environment=caller,
        proxies=NO_CALLER_PROXIES,
        timeout=None,
        terminal=terminal,
    )
    view = plan(Wanted(options.workspace, "write", options.home, "/usr/bin", ("/usr", "/bin")))
    return build(options, view, placeholders or {})


def test_nothing_of_the_caller_enters_unless_listed(tmp_path):
    caller = {"AWS_SECRET_ACCESS_KEY": "test", "FOO": "1", "BAR": "2", "LD_PRELOAD": "/x.so", "TERM": "xterm"}
    found = environment(tmp_path, caller, env_pass=("FOO", "MISSING"))
    assert found["FOO"] == "1"
    assert not {"AWS_SECRET_ACCESS_KEY", "BAR", "LD_PRELOAD", "MISSING"} & set(found)
    assert found["TERM"] == "dumb"


def test_a_terminal_has_the_callers_name(tmp_path):
    assert environment(tmp_path, {"TERM": "xterm-256color"}, terminal=True)["TERM"] == "xterm-256color"


def test_the_policy_sets_variables_over_the_agents(tmp_path):
    assert environment(tmp_path, {})["DISABLE_AUTOUPDATER"] == "1"
    assert environment(tmp_path, {}, env_set={"DISABLE_AUTOUPDATER": "0"})["DISABLE_AUTOUPDATER"] == "0"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
def test_the_policy_does_not_move_the_gateway(tmp_path, name):
    assert environment(tmp_path, {}, env_set={name: "elsewhere"})[name] != "elsewhere"


def test_a_placeholder_stands_where_the_secret_would(tmp_path):
    secret = SecretSpec("anthropic", "env", "ANTHROPIC_API_KEY", expose="ANTHROPIC_API_KEY")
    found = environment(
        tmp_path,
        {"ANTHROPIC_API_KEY": "sk-ant-test-real"},
        secrets={"anthropic": secret},
        placeholders={"ANTHROPIC_API_KEY": "sk-ant-test-placeholder"},
        env_pass=("ANTHROPIC_API_KEY",),
    )
    assert found["ANTHROPIC_API_KEY"] == "sk-ant-test-placeholder"


def test_a_policy_that_passes_a_secret_bare_is_refused(tmp_path):
    secret = SecretSpec("anthropic", "env", "ANTHROPIC_API_KEY")
    with pytest.raises(HostError, match="anthropic"):
        environment(
            tmp_path,
            {"ANTHROPIC_API_KEY": "sk-ant-test-real"},
            secrets={"anthropic": secret},
            env_pass=("ANTHROPIC_API_KEY",),
        )
