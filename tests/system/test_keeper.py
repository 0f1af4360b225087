"""What is hidden, or read-only, by its name stays so when somebody outside makes or replaces it while the agent runs."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outward import kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.caller import Caller

pytestmark = pytest.mark.needs("bubblewrap")

SECRET = "SECRET=sk-ant-test-0123456789"
MODES = ("write", "read", "review")


class Session:
    """A shell in the sandbox, told line by line what to do."""

    def __init__(self, caller: Caller, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._caller = caller

    def say(self, line: str) -> str:
        """What a line of shell prints, and its complaints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {line}\n}} 2>&1; echo; echo -- done\n")
        self._process.stdin.flush()
        said = []
        while (text := self._process.stdout.readline()) != "-- done\n":
            assert text, "the session is over"
            said.append(text)
        return "".join(said).strip()

    def never_says(self, line: str, secret: str = SECRET) -> None:
        """Asserts that ``line`` comes to print something else, and goes on to."""
        for _ in range(200):
            if secret not in self.say(line):
                assert secret not in self.say(line)
                return
            time.sleep(0.02)
        raise AssertionError(f"{line} still prints the secret")

    @property
    def keeper(self) -> int:
        """The process that hides: the child of `outward` after the launcher, which may answer before it is there."""
        own = Path(f"/proc/{self._process.pid}/exe").resolve()
        for _ in range(1000):
            children = kernel.children(self._process.pid)
            *before, last = [Path(f"/proc/{pid}/exe").resolve() for pid in children]
            if last == own and any(other != own for other in before):
                return children[-1]
            time.sleep(0.01)
        raise AssertionError("nothing hides")

    def signal(self, number: int) -> None:
        """To `outward` itself."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """The exit status, and what was said to the person, once it is over by itself."""
        self._process.wait(60)
        _, errors = self._process.communicate(timeout=60)
        return self._process.returncode, errors


@contextmanager
def session(caller: Caller, *options: str) -> Iterator[Session]:
    process = subprocess.Popen(
        caller.argv("run", *options, "--", "sh"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=caller.workspace,
        env=caller.env(),
    )
    started = Session(caller, process)
    try:
        started.say("true")
        yield started
    finally:
        process.kill()
        process.communicate()


def replace(caller: Caller, path: Path, text: str) -> None:
    """As editors and git do it."""
    draft = caller.file(path.with_name(f"{path.name}.new"), text, 0o644)
    draft.rename(path)


def await_readable(shell: Session, line: str) -> None:
    for _ in range(200):
        if SECRET in shell.say(line):
            return
        time.sleep(0.02)
    raise AssertionError("the attack does not work")


def await_recorded(caller: Caller) -> None:
    for _ in range(1000):
        if any(record.read_text() for record in (caller.state / "layers").glob("*/appeared")):
            return
        time.sleep(0.01)
    raise AssertionError("nothing is recorded")


@pytest.mark.parametrize("mode", MODES)
def test_a_hidden_file_that_is_replaced_stays_hidden(caller, mode):
    names = [".env", "sub/server.key", "deep/er/.aws/credentials"]
    for name in names:
        caller.file(caller.workspace / name, SECRET)
    with session(caller, "--mode", mode) as shell:
        for name in names:
            assert SECRET not in shell.say(f"cat {name}")
            replace(caller, caller.workspace / name, SECRET)
        for name in names:
            shell.never_says(f"cat {name}")


@pytest.mark.parametrize("mode", MODES)
def test_a_secret_that_appears_is_hidden(caller, mode):
    names = [".env", "sub/.env", "a/b/.npmrc", "sub/.env.local", "new/.env", "new/er/.aws/credentials"]
    caller.file(caller.workspace / "sub" / "plain", "", 0o644)
    caller.file(caller.workspace / "a" / "b" / "plain", "", 0o644)
    with session(caller, "--mode", mode) as shell:
        for name in names:
            caller.file(caller.workspace / name, SECRET, 0o644)
        for name in names:
            shell.never_says(f"cat {name}")
            assert (caller.workspace / name).read_text() == SECRET


@pytest.mark.parametrize("mode", ["write", "read"])
def test_without_the_process_that_hides_it_it_is_read(caller, mode):
    """The attack itself: a cover is a mount on a file, not on a name."""
    caller.file(caller.workspace / ".env", SECRET)
    caller.file(caller.workspace / "sub" / "plain", "")
    with session(caller, "--mode", mode) as shell:
        os.kill(shell.keeper, signal.SIGSTOP)
        for name in (".env", "sub/.env"):
            replace(caller, caller.workspace / name, SECRET)
            await_readable(shell, f"cat {name}")
        os.kill(shell.keeper, signal.SIGCONT)
        for name in (".env", "sub/.env"):
            shell.never_says(f"cat {name}")


@pytest.mark.parametrize("mode", ["read", "review"])
def test_where_only_others_write_it_is_every_kind_of_secret(caller, mode):
    with session(caller, "--mode", mode) as shell:
        caller.file(caller.workspace / "server.key", SECRET, 0o644)
        caller.file(caller.workspace / "cert.pem", SECRET, 0o644)
        shell.never_says("cat server.key cert.pem")
        with socket.socket(socket.AF_UNIX) as service:
            service.bind(str(caller.workspace / "service"))
            shell.never_says("ls -l service | cut -c1", "s")


def test_where_the_agent_writes_too_it_makes_keys_as_ever(caller):
    with session(caller, "--mode", "write") as shell:
        shell.say("echo made >server.key; mkdir new; echo made >new/cert.pem")
        assert shell.say("cat server.key new/cert.pem") == "made\nmade"


def test_a_new_file_that_the_policy_shows_is_shown(caller):
    text = 'version: 1\nworkspace: {show: [".env.test"], hide: ["private/**", "*.txt"]}\n'
    policy = caller.file(caller.home / "policy.yaml", text)
    with session(caller, "--policy", str(policy)) as shell:
        caller.file(caller.workspace / ".env.test", "shown", 0o644)
        caller.file(caller.workspace / "private" / "any", SECRET, 0o644)
        caller.file(caller.workspace / "any.txt", SECRET, 0o644)
        shell.never_says("cat private/any any.txt")
        assert shell.say("cat .env.test") == "shown"


def test_more_directories_and_files_that_the_policy_shows_are_watched_too(caller):
    seen, written = caller.home / "seen", caller.home / "written"
    caller.file(seen / "plain", "")
    caller.file(written / "plain", "")
    one = caller.file(caller.home / "one", "one")
    closed = caller.home / "closed"
    caller.file(closed / "plain", "")
    closed.chmod(0o300)
    text = f"version: 1\nsandbox: {{read: [{seen}, {one}, {closed}], write: [{written}]}}\n"
    policy = caller.file(caller.home / "policy.yaml", text)
    with session(caller, "--policy", str(policy), "--mode", "review") as shell:
        assert shell.say(f"cat {one}") == "one"
        for place, name in ((seen, "server.key"), (written, ".env")):
            caller.file(place / name, SECRET, 0o644)
            shell.never_says(f"cat {place / name}")
        caller.file(written / "server.key", "made", 0o644)
        assert shell.say(f"cat {written}/server.key") == "made"


def test_a_secret_behind_a_new_link_is_hidden(caller):
    caller.file(caller.workspace / "sub" / "plain", "")
    caller.file(caller.workspace / "other" / "store", SECRET, 0o644)
    with session(caller) as shell:
        (caller.workspace / "sub" / ".env").symlink_to("../other/store")
        shell.never_says("cat sub/.env; cat other/store")


def test_a_directory_that_is_moved_in_is_looked_through(caller):
    caller.file(caller.home / "elsewhere" / "deep" / ".env", SECRET, 0o644)
    with session(caller, "--mode", "write") as shell:
        (caller.home / "elsewhere").rename(caller.workspace / "moved")
        shell.never_says("cat moved/deep/.env")
        caller.file(caller.workspace / "moved" / "deep" / ".npmrc", SECRET, 0o644)
        shell.never_says("cat moved/deep/.npmrc")


def test_a_directory_that_the_agent_moved_is_still_watched(caller):
    caller.file(caller.workspace / "sub" / "inner" / "plain", "")
    with session(caller, "--mode", "write") as shell:
        shell.say("mv sub other")
        caller.file(caller.workspace / "other" / "inner" / ".env", SECRET, 0o644)
        shell.never_says("cat other/inner/.env")


@pytest.mark.needs("git")
def test_settings_that_are_replaced_stay_read_only(caller):
    subprocess.run(["git", "init", "--quiet", caller.workspace], check=True)
    for path in (caller.workspace, *caller.workspace.rglob("*")):
        if caller.uid is not None:
            os.chown(path, caller.uid, caller.uid)
    config = caller.workspace / ".git" / "config"
    with session(caller, "--mode", "write") as shell:
        os.kill(shell.keeper, signal.SIGSTOP)
        replace(caller, config, config.read_text())
        assert "Read-only" not in shell.say("echo '#evil' >>.git/config")
        assert "#evil" in config.read_text()
        os.kill(shell.keeper, signal.SIGCONT)
        replace(caller, config, "[core]\n")
        for _ in range(200):
            if "Read-only" in shell.say("echo '#evil' >>.git/config"):
                break
            replace(caller, config, "[core]\n")
        else:
            raise AssertionError("it stays writable")
        assert config.read_text() == "[core]\n"


def test_what_was_looked_for_before_does_not_come_to_light_later(caller):
    """The kernel remembers that a name was not there, for as long as it likes."""
    caller.file(caller.workspace / "sub" / "plain", "")
    with session(caller, "--mode", "review") as shell:
        shell.say("cat sub/.env")
        caller.file(caller.workspace / "sub" / ".env", SECRET, 0o644)
        shell.never_says("cat sub/.env")
        await_recorded(caller)
        assert "No such file" in shell.say("cat sub/.env")
        shell.say("echo mine >made")
    review = caller.outward("review", "--all")
    assert review.returncode == 0, review.stderr
    assert SECRET not in review.stdout
    assert ".env" not in review.stdout
    assert caller.outward("apply").returncode == 0
    assert (caller.workspace / "sub" / ".env").read_text() == SECRET


def test_the_agents_own_file_in_a_layer_stays_its_own(caller):
    caller.file(caller.workspace / "sub" / "plain", "")
    with session(caller, "--mode", "review") as shell:
        shell.say("echo mine >sub/.env")
        caller.file(caller.workspace / "sub" / ".env", SECRET, 0o644)
        await_recorded(caller)
        assert shell.say("cat sub/.env") == "mine"
    review = caller.outward("review")
    assert "hidden from the agent" in review.stdout
    assert SECRET not in review.stdout
    assert caller.outward("apply").returncode == 1
    assert (caller.workspace / "sub" / ".env").read_text() == SECRET


def test_without_the_process_that_hides_nothing_runs(caller):
    with session(caller) as shell:
        os.kill(shell.keeper, signal.SIGKILL)
        status, errors = shell.end()
        assert status == 128 + signal.SIGKILL
        assert "what appears later could not be hidden" in errors


def test_nothing_is_left_of_it_when_the_session_is_killed(caller):
    with session(caller) as shell:
        keeper = os.pidfd_open(shell.keeper)
        shell.signal(signal.SIGKILL)
        shell.end()
        poll = select.poll()
        poll.register(keeper, select.POLLIN)
        assert poll.poll(30_000)
