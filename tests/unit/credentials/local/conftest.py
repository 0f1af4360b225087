"""A local store, and keyrings that are made with the library's own interface for them (``keyring.backend.KeyringBackend``)."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from outward.credentials.local import unlocking
from outward.credentials.local.place import secrets_directory
from outward.credentials.local.sealed import new_opening
from outward.credentials.local.store import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = '''
import json, time
from pathlib import Path
import keyring.backend, keyring.errors

FILE = Path(__file__).with_name("kept.json")

class Working(keyring.backend.KeyringBackend):
    """Keeps everything in a file; stands in for a desktop's keyring."""
    priority = 5
    def _all(self):
        return json.loads(FILE.read_text()) if FILE.exists() else {}
    def get_password(self, service, username):
        return self._all().get(f"{service}|{username}")
    def set_password(self, service, username, password):
        FILE.write_text(json.dumps(self._all() | {f"{service}|{username}": password}))
    def delete_password(self, service, username):
        kept = self._all()
        if kept.pop(f"{service}|{username}", None) is None:
            raise keyring.errors.PasswordDeleteError("none")
        FILE.write_text(json.dumps(kept))

class Locked(Working):
    def get_password(self, service, username):
        raise keyring.errors.KeyringLocked("no")
    set_password = delete_password = lambda self, *_: self.get_password("", "")

class Hanging(Working):
    def get_password(self, service, username):
        time.sleep(3600)
    set_password = delete_password = lambda self, *_: self.get_password("", "")

class Broken(Working):
    def get_password(self, service, username):
        raise ValueError("ghp_test_should_not_show")
    set_password = delete_password = lambda self, *_: self.get_password("", "")

class Talkative(Working):
    def get_password(self, service, username):
        print("ghp_test_should_not_show")
        return super().get_password(service, username)
    set_password = delete_password = lambda self, *_: self.get_password("", "")

class Weak(Working):
    priority = 0.5
'''


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A caller without a keyring: no session bus, and no passphrase."""
    (tmp_path / "home").mkdir()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    return {"HOME": str(tmp_path / "home"), "OUTWARD_HOME": str(state), "PATH": "/usr/bin:/bin"}


@pytest.fixture
def with_keyring(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """The same caller with a keyring that works; ``kept.json`` in ``backends`` is what it keeps."""
    directory = tmp_path / "backends"
    directory.mkdir()
    (directory / "backends.py").write_text(textwrap.dedent(BACKEND))
    return environment | {"PYTHONPATH": str(directory), "PYTHON_KEYRING_BACKEND": "backends.Working"}


@pytest.fixture
def store(environment: dict[str, str]) -> LocalStore:
    """A store with an encrypted file and no keyring; a key file opens it."""
    path = secrets_directory(environment).parent / "key"
    made = LocalStore(environment)
    made.create(*new_opening(str(path)).new_key(unlocking.make_key_file(path)))
    return made
