"""``outward secret`` as a person calls it."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest

from outward.audit import Journal
from outward.cli.home import state_directory
from outward.cli.main import main
from outward.credentials.local import unlocking
from outward.credentials.local.place import default_key_file, state_root
from tests.support.changed import changed
from tests.unit.audit.conftest import START

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "ghp_test+0123456789/abcdef="
PASSPHRASE = "correct horse battery"


class Ended(NamedTuple):
    status: int
    output: str
    errors: str


class Person:
    """Somebody without a keyring and without a terminal. ``outward`` is run in this process, as one that has opened nothing."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        home.mkdir()
        self.home = home
        self.state = home / "state"
        self.environment = {"HOME": str(home), "OUTWARD_HOME": str(self.state), "PATH": os.environ["PATH"]}
        self._patch = patch
        self._capture = capture

    def outward(self, *words: str, given: str = "") -> Ended:
        self._capture.readouterr()
        with self._patch.context() as patch:
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.home)
            patch.setattr(unlocking, "_keys", {})
            patch.setattr("outward.cli.secret.conceal", lambda: None)
            patch.setattr("outward.cli.asking.has_terminal", lambda: False)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
            patch.setattr(sys, "argv", ["outward", *words])
            with pytest.raises(SystemExit) as ended:
                main()
        return Ended(int(ended.value.code or 0), *self._capture.readouterr())

    def policy(self, text: str) -> None:
        file = self.home / ".config" / "outward" / "policy.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(tmp_path / "person", monkeypatch, capsys)


@pytest.fixture
def keyed(person: Person) -> Person:
    """Somebody whose encrypted file a key file opens."""
    assert person.outward("secret", "init", "--key-file").status == 0
    return person


def forms(value: str) -> list[bytes]:
    """The value as a careless program might have written it."""
    octets = value.encode()
    encoded = [base64.b64encode(b"x" * shift + octets)[4 if shift else 0 : -4] for shift in range(3)]
    return [octets, octets.hex().encode(), quote(value, safe="").encode(), octets[::-1], *encoded]


def test_set_test_and_remove(keyed: Person) -> None:
    result = keyed.outward("secret", "set", "github", given=VALUE + "\n")
    assert (result.status, result.errors) == (0, "")
    assert result.output == "github is in the encrypted file; in the policy: github: {keyring: github}\n"
    result = keyed.outward("secret", "test", "github")
    assert result.status == 0
    assert "16 to 31 characters" in result.output
    kept = keyed.outward("secret", "rm", "github", given="n\n")
    assert kept.status == 130
    assert "github is kept" in kept.errors
    assert keyed.outward("secret", "test", "github").status == 0
    assert keyed.outward("secret", "rm", "github", given="y\n").status == 0
    result = keyed.outward("secret", "test", "github")
    assert result.status == 2
    assert "there is no secret 'github'" in result.errors
    assert keyed.outward("secret", "rm", "--yes", "github").status == 2


def test_the_value_is_nowhere(keyed: Person) -> None:
    """Not on the screen, and in no file under the state directory or the home."""
    said = [
        keyed.outward("secret", "set", "github", given=VALUE),
        keyed.outward("secret", "list"),
        keyed.outward("secret", "list", "--json"),
        keyed.outward("secret", "test", "github"),
        keyed.outward("secret", "test", "github", "--json"),
        keyed.outward("secret", "set", "github", given=VALUE + "\x01"),
        keyed.outward("secret", "set", "bad name", given=VALUE),
    ]
    kept = [file.read_bytes() for file in keyed.home.rglob("*") if file.is_file()]
    assert len(kept) >= 2
    for text in [*kept, *(part.encode() for one in said for part in (one.output, one.errors))]:
        for form in forms(VALUE):
            assert form not in text
    leaky = keyed.home / "leaky"
    leaky.write_bytes(base64.b64encode(b"Bearer " + VALUE.encode()))
    assert any(form in leaky.read_bytes() for form in forms(VALUE)), "the search finds what is there"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "empty"),
        ("\n", "empty"),
        (" \n", "empty"),
        ("two\nlines", "U+000A"),
        ("a\x00b", "U+0000"),
        ("a\x1b[2J", "U+001B"),
        ("a\x7f", "U+007F"),
        ("a\rb: c", "U+000D"),
        ("x" * 70_000, "65536"),
    ],
)
def test_what_is_no_secret_is_refused(keyed: Person, given: str, why: str) -> None:
    keyed.outward("secret", "set", "github", given=VALUE)
    result = keyed.outward("secret", "set", "github", given=given)
    assert result.status != 0
    assert why in result.errors
    assert "16 to 31" in keyed.outward("secret", "test", "github").output, "the old value stays"


def test_pem_and_json_may_have_lines(keyed: Person) -> None:
    for given in (
        "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n",
        '{\n\t"type": "service_account"\n}\n',
    ):
        assert keyed.outward("secret", "set", "key", given=given).status == 0
    assert keyed.outward("secret", "set", "key", given="-----BEGIN X-----\n\x00").status == 2


def test_a_value_is_never_an_argument(keyed: Person) -> None:
    assert keyed.outward("secret", "set", "github", VALUE).status == 2


class TestPassphrase:
    """Who opens the encrypted file with one."""

    def test_nobody_can_be_asked(self, person: Person) -> None:
        result = person.outward("secret", "set", "github", given=VALUE)
        assert result.status == 125
        assert "nobody to ask" in result.errors
        assert "OUTWARD_PASSPHRASE_FILE" in result.errors
        assert "init --key-file" in result.errors
        assert not (person.state / "secrets" / "encrypted").exists()

    def test_from_a_file_or_a_descriptor(self, person: Person) -> None:
        file = person.home / "passphrase"
        file.write_text(PASSPHRASE + "\n")
        file.chmod(0o600)
        assert person.outward("secret", "set", "github", "--passphrase-file", str(file), given=VALUE).status == 0
        person.environment["OUTWARD_PASSPHRASE_FILE"] = "~/passphrase"
        assert person.outward("secret", "test", "github").status == 0
        reading, writing = os.pipe()
        os.write(writing, PASSPHRASE.encode())
        os.close(writing)
        told = ("secret", "test", "github", "--passphrase-file", f"/dev/fd/{reading}")
        assert person.outward(*told).status == 0
        os.close(reading)
        file.write_text("another\n")
        result = person.outward("secret", "test", "github")
        assert (result.status, "does not open" in result.errors) == (1, True)
        file.chmod(0o640)
        assert "others can read" in person.outward("secret", "test", "github").errors
        file.unlink()
        assert "does not exist" in person.outward("secret", "test", "github").errors

    def test_from_a_passphrase_to_a_key_file(self, person: Person) -> None:
        file = person.home / "passphrase"
        file.write_text(PASSPHRASE)
        file.chmod(0o600)
        person.outward("secret", "set", "github", "--passphrase-file", str(file), given=VALUE)
        assert person.outward("secret", "test", "github").status == 1
        assert person.outward("secret", "init", "--key-file").status == 125, (
            "who cannot open it cannot change what opens it"
        )
        assert not default_key_file(person.environment).exists(), "no key file is left that opens nothing"
        result = person.outward("secret", "init", "--key-file", "--passphrase-file", str(file))
        assert result.status == 0, result.errors
        assert person.outward("secret", "test", "github").status == 0
        assert person.outward("secret", "init", "--key-file").status == 125, "a key file is never overwritten"
        result = person.outward("secret", "init", "--key-file", str(person.home / "other"))
        assert "secrets.key opens nothing any more" in result.output
        assert person.outward("secret", "test", "github").status == 0

    def test_a_key_file_stays_that_opens_what_the_disk_does_not_vouch_for(
        self, keyed: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(directory: Path) -> None:
            if directory.name == "secrets":
                raise OSError(errno.EIO, "Input/output error")

        keyed.outward("secret", "set", "github", given=VALUE)
        with monkeypatch.context() as patch:
            patch.setattr("outward.credentials.local.files._sync", fails)
            result = keyed.outward("secret", "init", "--key-file", str(keyed.home / "other"))
        assert result.status == 125
        assert "is written, but may be lost" in result.errors
        default_key_file(keyed.environment).unlink()
        assert keyed.outward("secret", "test", "github").status == 0, "the new one opens it"


class TestList:
    """What the policy, the store and the journal know."""

    POLICY = "version: 1\nsecrets:\n  gh: {keyring: github}\n  model: {env: MODEL_KEY}\n  lost: {keyring: gone}\n"

    def journal(self, person: Person) -> None:
        leak = changed(START, phase="end", id="r9", host="evil.example", verdict="deny", code="placeholder_leak")
        with Journal.open(person.state / "journal", session="s") as journal:
            for event in (
                changed(START, secrets=("gh",), host="api.github.com"),
                changed(START, phase="end", secrets=("gh",), host="api.github.com", status=200),
                changed(leak, secrets=("model",)),
                changed(START, phase="end", id="r8", secrets=(), verdict="deny", code="path_not_allowed"),
            ):
                journal.append(event)

    def test_for_programs(self, keyed: Person) -> None:
        keyed.policy(self.POLICY)
        keyed.outward("secret", "set", "github", given=VALUE)
        keyed.outward("secret", "set", "spare", given=VALUE)
        self.journal(keyed)
        rows: dict[str, dict[str, Any]] = {
            row["name"]: row for row in json.loads(keyed.outward("secret", "list", "--json").output)
        }
        assert list(rows) == ["gh", "lost", "model", "spare"]
        assert rows["gh"]["kept"] == "encrypted file"
        assert rows["gh"]["local_name"] == "github"
        assert rows["gh"]["destinations"] == {"api.github.com": 1}
        assert rows["gh"]["last_use"].startswith("20")
        assert rows["gh"]["leaks"] == []
        (leak,) = rows["model"]["leaks"]
        assert (leak["host"], leak["agent"]) == ("evil.example", "claude")
        assert rows["model"]["last_use"] is None
        assert (rows["spare"]["source"], rows["lost"]["kept"]) == (None, None)

    def test_for_people(self, keyed: Person) -> None:
        keyed.policy(self.POLICY)
        keyed.outward("secret", "set", "github", given=VALUE)
        self.journal(keyed)
        output = keyed.outward("secret", "list").output
        assert "encrypted file as github" in output
        assert "nowhere: outward secret set gone" in output
        assert "LEAK refused" in output
        assert "claude sent its placeholder to evil.example" in output

    def test_a_broken_policy_hides_nothing(self, keyed: Person) -> None:
        keyed.outward("secret", "set", "github", given=VALUE)
        keyed.policy("version: 2\n")
        result = keyed.outward("secret", "list")
        assert result.status == 0
        assert "without the policy" in result.errors
        assert "github" in result.output


def test_any_source_can_be_tested(person: Person) -> None:
    person.policy("version: 1\nsecrets: {model: {env: MODEL_KEY}, program: {command: [cat, key]}}\n")
    result = person.outward("secret", "test", "model")
    assert result.status == 1
    assert "MODEL_KEY is not set" in result.errors
    assert json.loads(person.outward("secret", "test", "--json", "model").output)["available"] is False
    person.environment["MODEL_KEY"] = VALUE
    assert "for as long as outward runs" in person.outward("secret", "test", "model").output
    assert person.outward("secret", "test", "program").status == 1
    (person.home / "key").write_text(VALUE)
    document = json.loads(person.outward("secret", "test", "--json", "program").output)
    assert (document["available"], document["source"], document["length"]) == (True, "command", "16 to 31")


def test_the_state_directory_is_where_the_other_verbs_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in (None, "~/mine", str(tmp_path / "state")):
        monkeypatch.delenv("OUTWARD_HOME", raising=False)
        if value is not None:
            monkeypatch.setenv("OUTWARD_HOME", value)
        assert state_root(os.environ) == state_directory()


LOG_IN = {
    "claudeAiOauth": {"accessToken": "sk-ant-oat01-REAL" + "a" * 60, "refreshToken": "sk-ant-ort01-REAL" + "b" * 60}
}


def test_a_log_in_is_brought_along_and_shown_for_its_agent(person: Person) -> None:
    file = person.home / ".claude/.credentials.json"
    file.parent.mkdir()
    file.write_text(json.dumps(LOG_IN))
    assert person.outward("secret", "init", "--key-file").status == 0
    done = person.outward("secret", "import", "claude", "--agent", "builder")
    assert (done.status, "claude-subscription" in done.output) == (0, True), done.errors
    assert "REAL" not in done.output
    policy = person.home / "policy.yaml"
    policy.write_text("version: 1\nuse: [claude-subscription]\n")
    policy.chmod(0o600)
    listed = json.loads(person.outward("secret", "list", "--json", "--policy", str(policy)).output)
    kept = {row["name"]: row["local_name"] for row in listed}
    assert kept["claude-access"] == "captured/builder/claude-access"
    assert kept["claude-key"] is None
    table = person.outward("secret", "list", "--policy", str(policy)).output
    assert "encrypted file as captured/builder/claude-refresh" in table
    assert "nothing yet: log in inside" in table
    tried = person.outward("secret", "test", "claude-access", "--policy", str(policy))
    assert (tried.status, "for each agent its own" in tried.errors) == (1, True)
    assert person.outward("secret", "rm", "--yes", "captured/builder/claude-access").status == 0
    files = [each for each in person.state.rglob("*") if each.is_file()]
    assert files
    assert not any(b"REAL" in each.read_bytes() for each in files)


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot read"), ("{", "no JSON"), ("{}", "holds no claudeAiOauth")]
)
def test_where_there_is_no_log_in_nothing_is_brought(person: Person, content: str | None, why: str) -> None:
    file = person.home / "credentials.json"
    if content is not None:
        file.write_text(content)
    done = person.outward("secret", "import", "claude", "--from", str(file))
    assert (done.status != 0, why in done.errors) == (True, True), done.errors
