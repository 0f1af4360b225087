"""Passphrases at a terminal, and who else may look into a process that has one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.caller import MAIN, Caller, new_caller

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VALUE = "ghp_test+0123456789/abcdef="
PASSPHRASE = "correct horse battery"
LIMIT = 60


class Ended(NamedTuple):
    status: int
    output: str
    errors: str = ""


class Person:
    """Somebody without a keyring, in their project."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = home / "project"
        self.project.mkdir(parents=True)
        self.state = home / "state"
        self.environment = {"HOME": str(home), "OUTWARD_HOME": str(self.state), "PATH": "/usr/local/bin:/usr/bin:/bin"}

    def outward(self, *words: str, given: str = "") -> Ended:
        """Without a terminal."""
        result = subprocess.run(
            [sys.executable, "-c", MAIN, *words],
            input=given,
            env=self.environment,
            cwd=self.project,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            start_new_session=True,
        )
        return Ended(result.returncode, result.stdout, result.stderr)

    def at_a_terminal(self, *words: str, answers: Sequence[tuple[str, str]], given: str | None = None) -> Ended:
        """``answers`` are what is typed when a text has appeared. ``given`` is standard input, if not the terminal."""
        pid, terminal = pty.fork()
        if pid == 0:
            if given is not None:
                reading, writing = os.pipe()
                os.write(writing, given.encode())
                os.close(writing)
                os.dup2(reading, 0)
            os.chdir(self.project)
            os.execve(sys.executable, [sys.executable, "-c", MAIN, *words], self.environment)  # noqa: S606
        shown, waiting, seen = "", list(answers), 0
        while True:
            try:
                piece = os.read(terminal, 4096).decode()
            except OSError:
                break
            shown += piece
            if waiting and waiting[0][0] in shown[seen:]:
                seen = len(shown)
                # The echo is turned off before the question is asked.
                os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        assert not waiting, f"never asked for {waiting[0][0]!r}: {shown}"
        return Ended(os.waitstatus_to_exitcode(status), shown)

    def policy(self, text: str) -> None:
        file = self.home / ".config" / "outward" / "policy.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path / "person")


def test_a_new_passphrase_is_asked_for_twice_and_an_old_one_until_it_fits(person: Person) -> None:
    new = [("New passphrase", "short"), ("New passphrase", PASSPHRASE), ("again", PASSPHRASE + "x")]
    new += [("New passphrase", PASSPHRASE), ("again", PASSPHRASE)]
    result = person.at_a_terminal("secret", "set", "github", answers=[("Value of github", VALUE), *new])
    assert result.status == 0, result.output
    assert VALUE not in result.output
    assert PASSPHRASE not in result.output
    again = [("Passphrase", "wrong horse"), ("Passphrase", PASSPHRASE)]
    result = person.at_a_terminal("secret", "set", "other", answers=again, given="value")
    assert result.status == 0, result.output
    assert "does not open" in result.output
    assert person.outward("secret", "list").output.count("encrypted file") == 2, "no passphrase is needed for it"
    result = person.at_a_terminal("secret", "test", "github", answers=[("Passphrase", f"wrong{n}") for n in range(3)])
    assert result.status == 1
    assert "does not open" in result.output


POLICY = "version: 1\nsecrets: {gh: {keyring: github}, model: {env: MODEL_KEY}}\n"


@pytest.fixture
def sealed(person: Person) -> Person:
    """Somebody whose secret a passphrase opens."""
    file = person.home / "passphrase"
    file.write_text(PASSPHRASE)
    file.chmod(0o600)
    person.outward("secret", "set", "github", "--passphrase-file", str(file), given=VALUE)
    return person


@pytest.mark.needs("bubblewrap")
def test_a_person_is_asked_before_the_sandbox_is_built(sealed: Person) -> None:
    sealed.policy(POLICY)
    asked = [("Passphrase", "wrong horse"), ("Passphrase", PASSPHRASE)]
    result = sealed.at_a_terminal("run", "--quiet", "--", "echo", "inside", answers=asked)
    assert result.output.splitlines()[-1] == "inside"
    assert result.output.index("Passphrase") < result.output.index("inside")
    wrong = [("Passphrase", f"wrong{number}") for number in range(3)]
    result = sealed.at_a_terminal("run", "--quiet", "--", "echo", "inside", answers=wrong)
    assert result.status == 125
    assert "inside" not in result.output


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize("text", ["version: 1\n", POLICY.replace("github", "gitlab")])
def test_nobody_is_asked_for_what_is_not_needed(sealed: Person, text: str) -> None:
    sealed.policy(text)
    result = sealed.at_a_terminal("run", "--quiet", "--", "echo", "inside", answers=[])
    assert "Passphrase" not in result.output
    assert result.status == 0


@pytest.mark.needs("bubblewrap")
def test_where_nobody_can_be_asked_it_is_said(sealed: Person) -> None:
    sealed.policy(POLICY)
    result = sealed.outward("run", "--quiet", "--", "echo", "inside")
    assert "the encrypted secrets are locked" in result.errors
    assert result.output == "inside\n", "requests that need it will be refused, others not"
    sealed.environment["OUTWARD_PASSPHRASE_FILE"] = "~/passphrase"
    assert sealed.outward("run", "--quiet", "--", "echo", "inside").errors == result.errors.replace(
        "outward: the encrypted secrets are locked; requests that need them will be refused\n", ""
    )


def test_others_of_the_same_user_cannot_look_into_it() -> None:
    """A process that is not concealed shows its environment, and its memory, to every other one of the same user."""
    script = (
        "import sys; from outward.credentials.memory import conceal\n"
        "if sys.argv[1:]: conceal()\n"
        "print(flush=True); input()"
    )
    with new_caller(Caller, unprivileged=os.geteuid() == 0) as caller:
        seen = []
        for argument in ([], ["concealed"]):
            with subprocess.Popen(
                [*caller.argv()[:-1], script, *argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=caller.env() | {"KEY": VALUE},
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                look = ["cat", f"/proc/{process.pid}/environ"]
                seen.append(
                    subprocess.run(look, user=caller.uid, group=caller.uid, capture_output=True, timeout=LIMIT).stdout
                )
                process.kill()
    assert VALUE.encode() in seen[0]
    assert seen[1] == b""
