"""The verbs ``log``, ``audit`` and ``env``, as a person calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from outward.audit import Journal
from outward.cli.audit import command as audit_command
from outward.cli.env import command as env_command
from outward.cli.log import command as log_command
from outward.core import Event, OutwardError
from tests.support.changed import changed
from tests.unit.audit.conftest import END, START

if TYPE_CHECKING:
    import click

DENIED = Event(
    phase="end",
    id="d",
    kind="http",
    agent="claude",
    method="POST",
    scheme="https",
    host="gist.example.com",
    port=443,
    path="/gists",
    verdict="deny",
    code="path_not_allowed",
    status=403,
)


@pytest.fixture
def state() -> Path:
    directory = Path(os.environ["OUTWARD_HOME"])
    directory.mkdir(mode=0o700)
    return directory


def journal(state: Path, *events: Event) -> Path:
    with Journal.open(state / "journal", session="s") as opened:
        for event in events:
            opened.append(event)
    return state / "journal" / "s.jsonl"


def run(verb: click.Command, *arguments: str) -> str:
    result = CliRunner().invoke(verb, list(arguments), standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_the_log_has_one_line_a_request(state: Path) -> None:
    journal(state, START, END, changed(START, id="r2", host="slow.example.com"))
    lines = run(log_command).splitlines()
    assert len(lines) == 3
    assert "allow" in lines[1]
    assert "200" in lines[1]
    assert "POST api.example.com/v1/messages" in lines[1]
    assert "unfinished" in lines[2]
    assert "slow.example.com" in lines[2]


def test_an_empty_log_is_a_heading(state: Path) -> None:
    assert len(run(log_command).splitlines()) == 1


def test_a_session_that_asked_for_nothing_is_no_mistake_and_one_that_never_was_is(state: Path) -> None:
    journal(state)
    assert len(run(log_command, "--session", "s").splitlines()) == 1
    refused = CliRunner().invoke(log_command, ["--session", "t"])
    assert isinstance(refused.exception, OutwardError)
    assert "no session t" in str(refused.exception)


def test_a_refusal_comes_with_the_command_that_would_allow_it(state: Path) -> None:
    journal(state, START, END, DENIED)
    output = run(log_command, "--denied")
    assert "outward policy allow 'POST gist.example.com/gists'" in output
    assert "api.example.com" not in output


@pytest.mark.parametrize(
    "event",
    [
        changed(DENIED, code="denied_by_rule"),
        changed(DENIED, code="placeholder_leak"),
        changed(DENIED, path="/**"),  # as a rule it would allow every path
        changed(DENIED, path="/a\nb"),
    ],
)
def test_no_command_where_it_would_not_help_or_allow_more(state: Path, event: Event) -> None:
    journal(state, event)
    assert "policy allow" not in run(log_command)


def test_a_hint_is_one_argument_of_the_shell(state: Path) -> None:
    journal(state, changed(DENIED, path="/';touch${IFS}x;'"))
    hint = run(log_command).splitlines()[-1].strip()
    program = ["sh", "-c", f"outward() {{ printf '%s\\n' \"$@\"; }}; {hint}"]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == ["policy", "allow", "POST gist.example.com/';touch${IFS}x;'"]


def test_nothing_in_a_record_reaches_the_terminal_as_a_command(state: Path) -> None:
    hostile = "\x1b]0;owned\x07\x9b31m\u202e\r\n\ud800"
    journal(state, changed(DENIED, path=hostile, agent=hostile, host=hostile, method=hostile, error=hostile))
    output = run(log_command)
    assert all(char.isprintable() or char == "\n" for char in output)
    assert "\\x1b]0;owned" in output
    assert len(output.splitlines()) == 2


def test_json_gives_the_records_as_they_are(state: Path) -> None:
    path = journal(state, START, END, DENIED)
    assert run(log_command, "--json") == path.read_text()
    assert run(log_command, "--json", "--denied").splitlines() == path.read_text().splitlines()[2:]
    assert len(run(log_command, "--json", "--host", "API.example.com").splitlines()) == 2


@pytest.mark.parametrize(("since", "shown"), [("10m", True), ("2001-01-01T10:00", True), ("2999-01-01", False)])
def test_since(state: Path, since: str, shown: bool) -> None:
    journal(state, START, END)
    assert ("api.example.com" in run(log_command, "--since", since)) is shown


@pytest.mark.parametrize("since", ["yesterday", "10", "10y", "999999999d", "2026-13-01"])
def test_what_is_no_time_is_refused(state: Path, since: str) -> None:
    with pytest.raises(Exception, match="not a time"):
        run(log_command, "--since", since)


def test_lines_that_cannot_be_read_are_reported(state: Path) -> None:
    path = journal(state, START, END)
    path.write_bytes(b"garbage\n" + path.read_bytes())
    assert "1 lines could not be read" in run(log_command)


def test_follow_goes_on_as_the_journal_grows(state: Path) -> None:
    program = [sys.executable, "-c", "from outward.cli import main; main()", "log", "--follow", "--json"]
    with (
        Journal.open(state / "journal", session="s") as first,
        subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            first.append(START)
            assert json.loads(process.stdout.readline())["phase"] == "start"
            first.append(END)
            assert json.loads(process.stdout.readline())["phase"] == "end"
            with Journal.open(state / "journal", session="later") as second:
                second.append(DENIED)
            assert json.loads(process.stdout.readline())["session"] == "later"
        finally:
            process.kill()


def status(verb: click.Command, *arguments: str) -> object:
    return CliRunner().invoke(verb, list(arguments), standalone_mode=False).return_value


def test_verify_says_ok_or_where_it_is_broken(state: Path) -> None:
    path = journal(state, START, END, DENIED)
    for arguments in (["verify"], ["verify", str(path)], ["verify", str(path.parent)]):
        assert status(audit_command, *arguments) == 0
        assert "3 records in 1 file" in run(audit_command, *arguments)
    path.write_bytes(path.read_bytes().replace(b'"status":200', b'"status":404'))
    for arguments in (["verify"], ["verify", str(path)], ["verify", str(path.parent)]):
        assert status(audit_command, *arguments) == 1
        assert f"BROKEN at {path}:2" in run(audit_command, *arguments)
    assert json.loads(run(audit_command, "verify", "--json"))["first_bad"]["line"] == 2


def test_verify_without_a_journal_passes_nothing(state: Path) -> None:
    with pytest.raises(OutwardError):
        run(audit_command, "verify")


def announce(state: Path, *proxies: str, pid: int | None = None) -> None:
    (state / "serve.json").write_text(json.dumps({"proxies": proxies, "pid": pid or os.getpid()}))


def test_env_points_at_the_running_gateway(state: Path) -> None:
    announce(state, "unix:/run/x.sock", "0.0.0.0:8080", "127.0.0.1:1")
    values = json.loads(run(env_command, "--shell", "json"))
    assert values["HTTPS_PROXY"] == "http://127.0.0.1:8080"
    assert Path(values["SSL_CERT_FILE"]).read_bytes().endswith(Path(values["NODE_EXTRA_CA_CERTS"]).read_bytes())
    assert values["SSL_CERT_FILE"] in Path(values["WGETRC"]).read_text()
    assert values["SSL_CERT_FILE"] in Path(values["APT_CONFIG"]).read_text()


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"proxies": ["127.0.0.1:1"], "pid": 4194305}', '{"proxies": [], "pid": 1}']
)
def test_env_without_a_running_gateway_says_how_to_start_one(state: Path, content: str | None) -> None:
    if content is not None:
        (state / "serve.json").write_text(content)
    with pytest.raises(OutwardError) as caught:
        run(env_command)
    assert "outward serve" in caught.value.hint
    assert "8080" in run(env_command, "--proxy", "http://127.0.0.1:8080")


def test_what_env_prints_is_quoted_for_the_shell(state: Path) -> None:
    url = "http://a'b$(touch x)\\\"@127.0.0.1:1"
    output = run(env_command, "--proxy", url)
    program = f'{output}\nprintf %s "$HTTPS_PROXY"'
    assert subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True).stdout == url
    fish = run(env_command, "--proxy", url, "--shell", "fish")
    assert "set -gx HTTPS_PROXY 'http://a\\'b$(touch x)\\\\\"@127.0.0.1:1'" in fish
