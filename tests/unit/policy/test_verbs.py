"""The verbs check, init and policy, as they are typed."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest
from click.testing import CliRunner

from outward.cli.main import main
from outward.cli.policy_edit import replace
from outward.cli.verbs import cli
from outward.core import HostError
from outward.policy.fields import INJECT
from outward.policy.load import preset_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = """\
version: 1
secrets: {github: {env: GITHUB_TOKEN}}
destinations:
  - host: api.github.com
    allow: ["GET /repos/acme/**"]   # reading
    ask: ["PUT /repos/**"]
    deny: ["* /gists/**"]
    inject:
      - {header: authorization, value: "Bearer {github}"}
"""


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home of our own, and a working directory that is not in it."""
    directory: Path = tmp_path / "home"
    (tmp_path / "work").mkdir()
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("GITHUB_TOKEN", "ghp-test-0123456789")
    monkeypatch.chdir(tmp_path / "work")
    return directory


@pytest.fixture
def outward(home, monkeypatch, capsys) -> Callable[..., Outcome]:
    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["outward", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def policy(home) -> Path:
    file: Path = home / ".config/outward/policy.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    file.chmod(0o640)
    return file


CHECKS = [
    ("GET", "https://api.github.com/repos/acme/web?x=1", 0, "allow", None),
    ("POST", "https://api.github.com/repos/acme/web", 3, "deny", "method_not_allowed"),
    ("PUT", "https://api.github.com/repos/acme/web", 4, "ask", "approval_denied"),
    ("POST", "https://api.github.com/gists", 3, "deny", "denied_by_rule"),
    ("GET", "http://api.github.com/repos/acme/web", 3, "deny", "port_not_allowed"),
    ("GET", "https://api.github.com:444/repos/acme/web", 3, "deny", "port_not_allowed"),
    ("GET", "https://example.com", 3, "deny", "host_not_allowed"),
    ("GET", "https://user@api.github.com/repos/acme/web", 3, "deny", "malformed_request"),
    ("GET", "https://api.github.com/repos/acme/..%2f", 3, "deny", "malformed_request"),
    ("GET", "https://api.github.com/repos/acme/a\nb", 3, "deny", "malformed_request"),
    ("GET", "https://api.github.com/repos/acme/?a b", 3, "deny", "malformed_request"),
    ("GE T", "https://api.github.com/repos/acme/", 3, "deny", "malformed_request"),
    ("GET", "https://evil\0.example/", 3, "deny", "malformed_request"),
    ("GET", "https://2130706433/", 3, "deny", "malformed_request"),
]


@pytest.mark.parametrize(("method", "url", "status", "verdict", "code"), CHECKS)
def test_check(outward, policy, method, url, status, verdict, code):
    outcome = outward("check", "--json", method, url)
    document = json.loads(outcome.out)
    assert (outcome.status, document["verdict"], document["code"]) == (status, verdict, code)
    text = outward("check", method, url)
    assert text.status == status
    assert text.out.startswith(verdict)


@pytest.mark.parametrize("url", ["", "api.github.com/x", "ftp://api.github.com/x", "https://", "https://[::1/x"])
def test_check_of_what_is_no_url(outward, policy, url):
    assert outward("check", "GET", url).status == 2


def test_check_tells_what_happens_and_never_a_value(outward, policy):
    document = json.loads(outward("check", "--json", "GET", "https://api.github.com/repos/acme/web").out)
    assert document["injects"] == ["header authorization: Bearer {github}"]
    assert {"authorization", "x-api-key"} <= set(document["removes"])
    assert document["rule"] == "api.github.com allow[0]"
    shown = outward("check", "GET", "https://api.github.com/repos/acme/web")
    assert "ghp-test" not in shown.out + shown.err


def test_check_and_show_tell_what_is_captured(outward, home):
    file = home / "login.yaml"
    file.write_text("version: 1\nuse: [claude-subscription]\n")
    file.chmod(0o600)
    shown = outward("check", "--json", "--policy", file, "POST", "https://platform.claude.com/v1/oauth/token")
    assert json.loads(shown.out)["captures"] == ["access_token as {claude-access}", "refresh_token as {claude-refresh}"]
    shown = outward("policy", "show", "--effective", "--policy", file)
    assert "POST /v1/oauth/token (captures access_token as claude-access)" in shown.out


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "https://api.github.com/repos/acme/web/issues"),
        ("GET", "https://b.example:8443/a'b$(x)/%7e"),
        ("GET", "http://b.example/x%2Fy"),
        ("GET", "https://[::1]/x"),
    ],
)
def test_the_command_that_is_proposed_allows_the_request_and_no_other(outward, policy, method, url):
    import shlex

    before = outward("check", "--json", method, url)
    assert before.status == 3
    words = shlex.split(json.loads(before.out)["hint"])
    assert words[:3] == ["outward", "policy", "allow"]
    assert outward(*words[1:], "--yes").status == 0
    assert outward("check", method, url).status == 0
    assert outward("check", method, url + "/more").status == 3


def test_no_command_is_proposed_that_would_allow_more_than_was_asked(outward, policy):
    """A sandbox asks for the path `/**`, and a person pastes the command that is shown."""
    document = json.loads(outward("check", "--json", "POST", "https://b.example/**").out)
    assert document["hint"] is None


FORMS = {
    # Each form of `inject`, and what is said of it.
    "{header: x-api-key, secret: github}": "header x-api-key: {github}",
    "{basic: {username: me, secret: github}}": "basic authentication as 'me' with {github}",
    "{query: key, secret: github}": "query key={github}",
    "{cookie: sid, secret: github}": "cookie sid={github}",
    "{placeholder: github}": "placeholder of {github} in basic and header",
    "{sigv4: {access_key: github, secret_key: other, region: r1}}": (
        "signature by sigv4 (access_key: github, region: r1, secret_key: other)"
    ),
    "{oauth1: {consumer_key: github, consumer_secret: other}}": (
        "signature by oauth1 (consumer_key: github, consumer_secret: other)"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_check_tells_of_every_form(outward, policy, form):
    text = TEXT.replace("{github: {env: GITHUB_TOKEN}}", "{github: {env: GITHUB_TOKEN}, other: {env: OTHER}}")
    policy.write_text(text.replace('{header: authorization, value: "Bearer {github}"}', form))
    outcome = outward("check", "--json", "GET", "https://api.github.com/repos/acme/web", "--policy", policy)
    assert json.loads(outcome.out)["injects"] == [FORMS[form]]
    assert outward("check", "GET", "https://api.github.com/repos/acme/web", "--policy", policy).status == 0
    assert outward("policy", "show", "--effective", "--policy", policy).status == 0


def test_every_form_is_told_of():
    assert {form[1:].partition(":")[0] for form in FORMS} == INJECT.records.keys()


def test_check_for_an_agent(outward, policy):
    policy.write_text(TEXT + "    agents: [ci]\n")
    url = "https://api.github.com/repos/acme/web"
    assert outward("check", "--agent", "ci", "GET", url).status == 0
    assert outward("check", "GET", url).status == 3


def test_where_the_policy_is_looked_up(outward, policy, home, monkeypatch, tmp_path):
    def allows(host: str) -> Path:
        file: Path = tmp_path / f"{host}.yaml"
        file.write_text(f"version: 1\ndestinations: [{{host: {host}, allow: [GET /]}}]")
        return file

    named, configured = allows("named.example"), allows("configured.example")
    (tmp_path / "work/policy.yaml").write_text(configured.read_text())
    assert outward("check", "GET", "https://configured.example").status == 3, "the working directory has no say"
    monkeypatch.setenv("OUTWARD_POLICY", str(configured))
    assert outward("check", "GET", "https://configured.example").status == 0
    assert outward("check", "GET", "https://api.github.com/repos/acme").status == 3
    assert outward("check", "--policy", named, "GET", "https://named.example").status == 0
    assert outward("check", "--policy", named, "GET", "https://configured.example").status == 3


def test_a_named_policy_must_exist(outward, policy, monkeypatch, tmp_path):
    assert outward("check", "--policy", tmp_path / "none", "GET", "https://a.example").status == 2
    monkeypatch.setenv("OUTWARD_POLICY", str(tmp_path / "none"))
    assert outward("check", "GET", "https://a.example").status == 2


def test_without_a_policy_everything_is_refused_and_the_way_out_is_told(outward):
    outcome = outward("check", "GET", "https://a.example")
    assert outcome.status == 3
    assert "outward init" in outcome.err


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_policy_that_others_can_write_is_refused(outward, policy, mode):
    policy.chmod(mode)
    outcome = outward("check", "GET", "https://a.example")
    assert outcome.status == 2
    assert "chmod go-w" in outcome.err
    policy.chmod(0o644)
    assert outward("check", "GET", "https://a.example").status == 3


def test_a_used_file_that_others_can_write_is_refused(outward, policy):
    team = policy.with_name("team.yaml")
    team.write_text("version: 1")
    policy.write_text(f"version: 1\nuse: [./{team.name}]")
    assert outward("policy", "validate").status == 0
    team.chmod(0o666)
    outcome = outward("policy", "validate")
    assert outcome.status == 2
    assert "use[0]" in outcome.err


def test_a_policy_in_a_directory_that_everybody_can_write_is_refused(outward, policy):
    policy.parent.chmod(0o777)
    assert outward("policy", "validate").status == 2
    policy.parent.chmod(0o1777)
    assert outward("policy", "validate").status == 0


@pytest.mark.needs("root")
def test_a_policy_of_somebody_else_is_refused(outward, policy):
    os.chown(policy, 12345, -1)
    assert "belongs to somebody else" in outward("policy", "validate").err
    os.chown(policy, 0, -1)
    assert outward("policy", "validate").status == 0


def test_a_policy_that_is_no_file_is_refused(outward, policy):
    policy.unlink()
    policy.mkdir()
    assert outward("check", "GET", "https://a.example").status == 2
    policy.rmdir()
    policy.symlink_to("nowhere")
    assert outward("check", "GET", "https://a.example").status == 2


def test_validate(outward, policy):
    assert "1 destinations, 3 rules, 1 secrets" in outward("policy", "validate").out
    policy.write_text("version: 1\nuze: []\ndestinations: [{hosd: a}]")
    outcome = outward("policy", "validate", policy)
    assert outcome.status == 2
    assert f"{policy}:2:1: uze: unknown key; did you mean 'use'?" in outcome.err
    document = json.loads(outward("policy", "validate", "--json").out)
    assert document["valid"] is False
    assert [problem["path"] for problem in document["problems"]] == ["uze", "destinations[0]", "destinations[0].hosd"]


def test_show_presets(outward):
    listed = outward("policy", "show").out
    assert [line.split()[0] for line in listed.splitlines()] == list(preset_names())
    assert all(line.endswith(".") for line in listed.splitlines()), "a sentence is cut"
    assert "host: api.anthropic.com" in outward("policy", "show", "claude-code").out
    missing = outward("policy", "show", "claude")
    assert missing.status == 2
    assert "claude-code" in missing.err


def test_the_shell_completes_presets():
    environment = {"_OUTWARD_COMPLETE": "bash_complete", "COMP_WORDS": "outward policy show claude-", "COMP_CWORD": "3"}
    completed = CliRunner().invoke(cli, env=environment, prog_name="outward")
    assert completed.output == "plain,claude-code\nplain,claude-subscription\n"


def test_show_what_is_in_force(outward, policy):
    shown = outward("policy", "show", "--effective").out
    assert "https://api.github.com:443" in shown
    assert "deny  * /gists/**" in shown
    (document,) = json.loads(outward("policy", "show", "--effective", "--json").out)
    assert document["secrets"] == ["github"]


def test_schema(outward):
    assert "destinations" in json.loads(outward("policy", "schema").out)["properties"]


def test_an_edit_shows_the_difference_and_keeps_everything_else(outward, policy):
    outcome = outward("policy", "allow", "--yes", "POST api.github.com/repos/acme/web/pulls")
    assert outcome.status == 0
    added = '    allow: ["GET /repos/acme/**", "POST /repos/acme/web/pulls"]   # reading'
    assert f"+{added}" in outcome.out
    assert policy.read_text() == TEXT.replace('    allow: ["GET /repos/acme/**"]   # reading', added)
    assert stat.S_IMODE(policy.stat().st_mode) == 0o640
    assert [file.name for file in policy.parent.iterdir()] == [policy.name]


def test_a_deny_of_a_new_host(outward, policy):
    assert outward("policy", "deny", "--yes", "* b.example/x/**").status == 0
    assert outward("check", "GET", "https://b.example/x/y").status == 3
    assert policy.read_text().startswith(TEXT)


def test_an_edit_without_a_terminal_changes_nothing_unless_told_to(outward, policy):
    outcome = outward("policy", "allow", "POST api.github.com/x")
    assert outcome.status == 2
    assert "--yes" in outcome.err
    assert policy.read_text() == TEXT


@pytest.mark.parametrize(("answer", "status"), [(True, 0), (False, 1)])
def test_an_edit_on_a_terminal_asks(outward, policy, monkeypatch, answer, status):
    monkeypatch.setattr("outward.cli.policy._on_a_terminal", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: answer)
    assert outward("policy", "allow", "POST api.github.com/x").status == status
    assert (policy.read_text() != TEXT) is answer


def test_an_edit_after_which_the_policy_would_not_load_is_refused(outward, policy):
    policy.write_text("version: 1\ndestinations:\n  - {host: a.example, tls: passthrough, allow: connect}\n")
    outcome = outward("policy", "allow", "--yes", "GET a.example/x")
    assert outcome.status == 2
    assert "nothing was changed" in outcome.err
    assert "a.example, tls" in policy.read_text()


def test_a_stronger_rule_is_pointed_out(outward, policy):
    assert "api.github.com deny[0]" in outward("policy", "allow", "--yes", "GET api.github.com/GISTS/*").err
    assert "stronger" not in outward("policy", "allow", "--yes", "GET api.github.com/user").err


def test_a_link_to_a_policy_stays_a_link(outward, policy, tmp_path):
    target = tmp_path / "dotfiles.yaml"
    policy.rename(target)
    policy.symlink_to(target)
    assert outward("policy", "allow", "--yes", "GET b.example/x").status == 0
    assert policy.is_symlink()
    assert "b.example" in target.read_text()


def test_an_edit_without_a_policy_file_tells_the_way_out(outward):
    outcome = outward("policy", "allow", "--yes", "GET b.example/x")
    assert outcome.status == 2
    assert "outward init" in outcome.err


def test_a_full_disk_leaves_the_policy_as_it_was(policy, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError):
        replace(policy, "version: 1")
    assert policy.read_text() == TEXT
    assert [file.name for file in policy.parent.iterdir()] == [policy.name]


def test_init_writes_a_policy_that_loads_and_never_overwrites(outward, home, tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("codex", "git"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("CODEX_API_KEY", "sk-test-0123456789")
    outcome = outward("init")
    file = home / ".config/outward/policy.yaml"
    text = file.read_text()
    assert outcome.status == 0
    assert "sk-test" not in text + outcome.out + outcome.err
    assert "- codex " in text
    assert "# - git-read" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert outward("policy", "validate").status == 0
    assert outward("check", "POST", "https://api.openai.com/v1/responses").status == 0
    assert outward("init").status == 2
    assert file.read_text() == text


def test_init_for_one_agent_and_another_place(outward, home, tmp_path):
    file = tmp_path / "work" / "p.yaml"
    assert outward("init", "--agent", "gemini", "--policy", file).status == 0
    assert "- gemini-cli" in file.read_text()
    assert "- claude-code" not in file.read_text()
    assert outward("policy", "validate", file).status == 0


def test_the_commented_parts_of_the_starter_policy_load_too(outward, home, tmp_path):
    """What a person uncomments must work."""
    file = tmp_path / "p.yaml"
    assert outward("init", "--agent", "claude", "--policy", file).status == 0
    lines = file.read_text().split("\n")
    start = next(index for index, line in enumerate(lines) if line == "# secrets:")
    uncommented = [line[2:] if line.startswith("# ") and _is_yaml(line) else line for line in lines[start:]]
    file.write_text("\n".join([*lines[:start], *uncommented]))
    outcome = outward("policy", "validate", file)
    assert outcome.status == 0, outcome.err
    assert outward("check", "--policy", file, "GET", "https://api.github.com/repos/acme/x").status == 0


def _is_yaml(line: str) -> bool:
    return line[2:].rstrip().endswith((":", "}", "]")) or line.startswith(("#   ", "# - "))
