"""``outward run``: statuses, streams, environment, files."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.support.caller import LIMIT

pytestmark = pytest.mark.needs("bubblewrap")


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 0", 0), ("exit 3", 3), ("exit 125", 125), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_the_exit_status_is_the_command_s(caller, command, status):
    assert caller.inside(command).returncode == status


def test_what_is_not_there_is_127(caller):
    done = caller.outward("run", "--", "no-such-program")
    assert done.returncode == 127
    assert "not found in the sandbox" in done.stderr


def test_what_is_only_outside_is_127(caller):
    program = caller.file(caller.home / "elsewhere" / "tool", "#!/bin/sh\n", 0o755)
    assert subprocess.run([program]).returncode == 0
    assert caller.outward("run", "--", str(program)).returncode == 127


def test_what_cannot_be_executed_is_126(caller):
    caller.file(caller.workspace / "script", "#!/bin/sh\n", 0o644)
    assert caller.outward("run", "--", "./script").returncode == 126
    caller.file(caller.workspace / "script", "#!/bin/sh\nexit 6\n", 0o755)
    assert caller.outward("run", "--", "./script").returncode == 6


def test_without_a_sandbox_nothing_runs(caller):
    done = caller.outward("run", "--backend", "none", "--", "touch", "ran")
    assert done.returncode == 125
    assert not (caller.workspace / "ran").exists()


def test_the_home_is_no_workspace(caller):
    done = caller.outward("run", "--workspace", str(caller.home), "--", "true")
    assert done.returncode == 125
    assert "home directory" in done.stderr


def test_streams_pass_through_untouched(caller):
    done = caller.inside("cat; echo problem >&2", stdin="one\ntwo")
    assert done.stdout == "one\ntwo"
    assert done.stderr.endswith("problem\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_is_nothing_inside(caller, closed):
    # Through a pipe: a shell that redirects a simple command may do so in itself, and would see that.
    look = "for number in 0 1 2; do readlink /proc/$$/fd/$number | cat >>seen; done; echo text; echo text >&2; exit 7"
    words = caller.argv("run", "--", "sh", "-c", look)
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        cwd=caller.workspace,
        env=caller.env(),
        timeout=LIMIT,
    )
    assert done.returncode == 7, done.stderr
    seen = (caller.workspace / "seen").read_text().splitlines()
    for number, redirection in enumerate(("<&-", ">&-", "2>&-")):
        assert (seen[number] == "/dev/null") == (redirection in closed.split())


def test_arguments_are_not_interpreted(caller):
    words = ["--quiet", "a b", "$HOME", "", "é", "--", "*"]
    done = caller.outward("run", "--quiet", "--", "printf", "[%s]", *words)
    assert done.stdout == "".join(f"[{word}]" for word in words)


def test_the_environment_is_made_from_scratch(caller):
    caller.environment |= {"PRIVATE": "value", "FOO": "foo", "LD_LIBRARY_PATH": "/tmp"}
    policy = caller.file(caller.home / "policy.yaml", "version: 1\nsandbox:\n  env: {set: {BAR: bar}, pass: [FOO]}\n")
    done = caller.inside("/usr/bin/env -0", "--policy", str(policy))
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert (found["FOO"], found["BAR"]) == ("foo", "bar")
    assert not {"PRIVATE", "LD_LIBRARY_PATH", "OUTWARD_HOME", "PYTHONPATH"} & set(found)
    assert found["HOME"] == "/home/agent"
    assert found["HTTPS_PROXY"] == "http://127.0.0.1:3128"


def test_the_home_lasts_and_tmp_does_not(caller):
    caller.inside("echo kept >~/note; echo gone >/tmp/note")
    done = caller.inside("cat ~/note; cat /tmp/note")
    assert done.stdout == "kept\n"
    assert done.returncode != 0


def test_every_agent_has_a_home_of_its_own(caller):
    caller.inside("echo private >~/note", "--agent", "one")
    assert caller.inside("cat ~/note", "--agent", "two").returncode != 0
    assert caller.inside("cat ~/note", "--agent", "one").stdout == "private\n"


@pytest.mark.parametrize("name", ["../one", "a/b", "", ".", "x" * 65])
def test_an_agent_s_name_cannot_leave_its_place(caller, name):
    assert caller.outward("run", "--agent", name, "--", "true").returncode == 2


@pytest.mark.parametrize(("mode", "written"), [("write", True), ("read", False)])
def test_the_mode_says_whether_the_workspace_changes(caller, mode, written):
    done = caller.inside("touch made", "--mode", mode)
    assert (done.returncode == 0) is written
    assert (caller.workspace / "made").exists() is written


def test_files_made_inside_belong_to_the_caller(caller):
    caller.inside("touch made")
    assert (caller.workspace / "made").stat().st_uid == caller.workspace.stat().st_uid


def test_further_paths_are_as_the_policy_says(caller):
    caller.file(caller.home / "lib" / "a", "library\n")
    caller.file(caller.home / "cache" / "b", "cache\n")
    text = "version: 1\nsandbox: {read: [~/lib], write: [~/cache]}\n"
    policy = caller.file(caller.home / "policy.yaml", text)
    line = f"cat {caller.home}/lib/a {caller.home}/cache/b; touch {caller.home}/cache/c; touch {caller.home}/lib/d"
    done = caller.inside(line, "--policy", str(policy))
    assert done.stdout == "library\ncache\n"
    assert (caller.home / "cache" / "c").exists()
    assert not (caller.home / "lib" / "d").exists()


def test_the_callers_tools_run_inside_and_cannot_be_changed(caller):
    prefix = caller.home / "tools"
    caller.file(prefix / "lib" / "data", "from the prefix\n", 0o644)
    caller.file(prefix / "bin" / "tool", f"#!/bin/sh\ncat {prefix}/lib/data\n", 0o755)
    caller.environment["PATH"] = f"{prefix}/bin:/usr/bin:/bin"
    assert caller.outward("run", "--quiet", "--", "tool").stdout == "from the prefix\n"
    assert caller.inside(f"echo x >>{prefix}/bin/tool").returncode != 0


def test_tools_of_the_system_only(caller):
    caller.file(caller.home / "bin" / "tool", "#!/bin/sh\n", 0o755)
    caller.environment["PATH"] = f"{caller.home}/bin:/usr/bin:/bin"
    policy = caller.file(caller.home / "policy.yaml", "version: 1\nsandbox: {tools: system}\n")
    assert caller.outward("run", "--", "tool").returncode == 0
    assert caller.outward("run", "--policy", str(policy), "--", "tool").returncode == 127


def test_a_dry_run_prints_the_steps_and_starts_nothing(caller):
    caller.file(caller.workspace / ".env", "SECRET=1")
    done = caller.outward("run", "--dry-run", "--", "touch", "ran")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert f"hidden     {caller.workspace}/.env" in lines
    assert lines.index("new proc   /proc") < lines.index("read-only  /proc/sys") < lines.index("sealed     /")
    assert not (caller.workspace / "ran").exists()
    assert not (caller.state / "journal").exists()


def test_names_of_files_cannot_steer_the_terminal(caller):
    caller.file(caller.workspace / "\x1b[2J.env", "SECRET=1")
    assert "\\x1b[2J.env" in caller.outward("run", "--dry-run", "--", "true").stdout


@pytest.mark.needs("curl")
def test_the_summary_names_what_was_refused_and_the_journal_has_it(caller):
    done = caller.outward("run", "--", "curl", "-sS", "https://refused.example/secret")
    assert done.returncode in {7, 56}  # of a refused CONNECT: "could not connect" to newer versions
    assert "refused CONNECT refused.example: host_not_allowed" in done.stderr
    assert "outward policy allow 'GET,HEAD refused.example/**'" in done.stderr
    session = done.stderr.rsplit("--session ", 1)[1].strip()
    log = caller.outward("log", "--json", "--session", session)
    records = [json.loads(line) for line in log.stdout.splitlines()]
    assert [record["host"] for record in records if record["verdict"] == "deny"] == ["refused.example"]


def test_quiet_says_nothing(caller):
    policy = caller.file(caller.home / "policy.yaml", "version: 1\ndestinations: [{host: a.example, allow: [GET /]}]\n")
    assert caller.outward("run", "--quiet", "--policy", str(policy), "--", "true").stderr == ""


def test_a_broken_policy_is_2_and_nothing_runs(caller):
    policy = caller.file(caller.home / "policy.yaml", "version: 1\nsandbocks: {}\n")
    done = caller.outward("run", "--policy", str(policy), "--", "touch", "ran")
    assert done.returncode == 2
    assert not (caller.workspace / "ran").exists()


@pytest.mark.skipif(shutil.which("node") is None, reason="NOT TESTED: this machine has no node")
def test_node_runs(caller):
    done = caller.inside("node -e 'console.log(6*7)'")
    assert done.stdout == "42\n"


def test_debug_says_what_goes_through(caller):
    """And nothing without it."""
    ask = "wget -q -O /dev/null https://nowhere.test/ || curl -s https://nowhere.test/ || true"
    quiet, told = (caller.outward("run", "--quiet", *more, "--", "sh", "-c", ask) for more in ((), ("--debug",)))
    assert "nowhere.test" not in quiet.stderr
    assert "https://nowhere.test:443; deny" in told.stderr
