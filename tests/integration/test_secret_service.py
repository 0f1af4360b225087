"""The system keyring, for real: gnome-keyring's Secret Service on a session bus of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from outward.cli.verbs import cli
from outward.core import SecretUnavailable
from outward.credentials import CredentialStore
from outward.credentials.local import system
from outward.credentials.local.place import secrets_directory
from outward.credentials.local.store import LocalStore
from outward.credentials.local.system import KeyringTrouble
from outward.policy import SecretSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs("secret-service")

VALUE = "ghp_test_0123456789abcdef"


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a session whose keyring is unlocked."""
    home = tmp_path / "home"
    home.mkdir()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "OUTWARD_HOME": str(state),
        "XDG_RUNTIME_DIR": str(home),
    }
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address=unix:path={tmp_path}/bus"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    assert bus.stdout is not None
    environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
    keyring = subprocess.Popen(
        ["gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert keyring.stdin is not None
    keyring.stdin.write(b"log-in password")
    keyring.stdin.close()
    assert keyring.stdout is not None
    keyring.stdout.readline()
    try:
        yield environment
    finally:
        for process in (keyring, bus):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def lookup(desktop: dict[str, str], **attributes: str) -> str:
    """What another program finds there."""
    words = [word for pair in attributes.items() for word in pair]
    return subprocess.run(
        ["secret-tool", "lookup", *words], env=desktop, capture_output=True, text=True, timeout=60
    ).stdout


def test_it_keeps_what_is_set_and_forgets_what_is_removed(desktop: dict[str, str]) -> None:
    store = LocalStore(desktop)
    service = f"outward {desktop['OUTWARD_HOME']}"
    assert asyncio.run(store.put("github", VALUE.encode())).home == "system keyring"
    assert asyncio.run(store.get("github")) == VALUE.encode()
    assert lookup(desktop, service=service, username="github") == VALUE
    for file in secrets_directory(desktop).iterdir():
        assert VALUE not in file.read_text()
    assert asyncio.run(store.delete("github"))
    assert lookup(desktop, service=service, username="github") == ""
    assert asyncio.run(store.get("github")) is None


def test_a_policy_reads_what_another_program_keeps_there(desktop: dict[str, str]) -> None:
    subprocess.run(
        ["secret-tool", "store", "--label=x", "service", "gh:github.com", "username", "me"],
        env=desktop,
        input=VALUE,
        text=True,
        check=True,
        timeout=60,
    )

    def fetch(username: str) -> bytes:
        spec = SecretSpec("key", "keyring", (("service", "gh:github.com"), ("username", username)))
        return asyncio.run(CredentialStore({"key": spec}, environment=desktop).get("key")).reveal()

    assert fetch("me") == VALUE.encode()
    with pytest.raises(SecretUnavailable, match="nothing for service"):
        fetch("you")


def test_a_locked_one_is_said_and_never_waited_for_longer_than_a_person_takes(
    desktop: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nobody here whom it could prompt."""
    store = LocalStore(desktop)
    asyncio.run(store.put("github", VALUE.encode()))
    lock = "import secretstorage as s; s.get_default_collection(s.dbus_init()).lock()"
    subprocess.run([sys.executable, "-c", lock], env=desktop, check=True, timeout=60)
    monkeypatch.setattr(system, "TIME_LIMIT", 5.0)
    for use in (lambda: store.get("github"), lambda: store.put("github", b"new")):
        with pytest.raises(KeyringTrouble) as caught:
            asyncio.run(use())
        assert "nlock" in caught.value.hint
    assert store.entries()["github"].home == "system keyring", "it does not go elsewhere"


def test_the_verbs(desktop: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in desktop.items():
        monkeypatch.setenv(name, value)
    runner = CliRunner()
    result = runner.invoke(cli, ["secret", "set", "github"], input=VALUE, standalone_mode=False)
    assert result.exception is None
    assert "github is in the system keyring" in result.output
    (row,) = json.loads(runner.invoke(cli, ["secret", "list", "--json"], standalone_mode=False).output)
    assert (row["name"], row["kept"], row["last_use"]) == ("github", "system keyring", None)
    assert runner.invoke(cli, ["secret", "test", "github"], standalone_mode=False).return_value == 0
    with contextlib.suppress(FileNotFoundError):
        assert VALUE not in (secrets_directory(desktop) / "encrypted").read_text()
    assert runner.invoke(cli, ["secret", "rm", "--yes", "github"], standalone_mode=False).exception is None
    assert json.loads(runner.invoke(cli, ["secret", "list", "--json"], standalone_mode=False).output) == []
