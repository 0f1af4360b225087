"""The local store: one home for each name, nothing lost, and no where it cannot be had."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from outward.core import HostError, SecretUnavailable
from outward.credentials import CredentialStore
from outward.credentials.local import encrypted, system, unlocking
from outward.credentials.local.place import ENCRYPTED, INDEX, opening_files, secrets_directory
from outward.credentials.local.sealed import Damaged, WrongKey, new_opening, seal
from outward.credentials.local.store import MAX_VALUE, LocalStore
from outward.credentials.local.system import KeyringTrouble, NoKeyring
from outward.credentials.local.unlocking import Locked
from outward.policy import SecretSpec

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

VALUE = b"ghp_test_0123456789abcdef"


def put(store: LocalStore, name: str, value: bytes = VALUE, **more: bool) -> str:
    return asyncio.run(store.put(name, value, **more)).home


def get(store: LocalStore, name: str) -> bytes | None:
    return asyncio.run(store.get(name))


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes this process one that has not opened anything yet."""
    return lambda: monkeypatch.setattr(unlocking, "_keys", {})


def test_set_replace_list_and_remove(store: LocalStore) -> None:
    assert get(store, "github") is None
    assert put(store, "github", b"old") == "encrypted file"
    put(store, "github")
    put(store, "captured/claude/refresh_token", b"r1")
    assert get(store, "github") == VALUE
    assert list(store.entries()) == ["captured/claude/refresh_token", "github"]
    assert asyncio.run(store.delete("github")) is True
    assert asyncio.run(store.delete("github")) is False
    assert get(store, "github") is None
    assert get(store, "captured/claude/refresh_token") == b"r1"


@pytest.mark.parametrize("value", [b"", b"x" * (MAX_VALUE + 1), b"\xff"])
def test_what_is_no_value_changes_nothing(store: LocalStore, value: bytes) -> None:
    put(store, "github")
    with pytest.raises(HostError):
        put(store, "github", value)
    assert get(store, "github") == VALUE


def test_another_process_opens_it_with_the_key_file(store: LocalStore, forget: Any) -> None:
    put(store, "github")
    forget()
    assert get(store, "github") == VALUE
    forget()
    (secrets_directory_of(store).parent / "key").unlink()
    with pytest.raises(Locked, match="does not exist"):
        get(store, "github")


def secrets_directory_of(store: LocalStore) -> Path:
    return secrets_directory(store._environment)


def test_a_passphrase_from_a_file(environment: dict[str, str], tmp_path: Path, forget: Any) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    file.chmod(0o600)
    told = environment | {"OUTWARD_PASSPHRASE_FILE": str(file)}
    with pytest.raises(Locked, match="nobody to ask"):
        put(LocalStore(environment), "github")
    put(LocalStore(told), "github")
    forget()
    assert get(LocalStore(told), "github") == VALUE
    forget()
    with pytest.raises(Locked, match="nobody to ask"):
        get(LocalStore(environment), "github")
    file.write_text("another horse battery\n")
    for use in (lambda: get(LocalStore(told), "github"), lambda: put(LocalStore(told), "github", b"new")):
        with pytest.raises(WrongKey):
            use()
    file.chmod(0o644)
    with pytest.raises(HostError, match="others can read"):
        get(LocalStore(told), "github")


def test_a_damaged_file_is_named_and_not_overwritten(store: LocalStore) -> None:
    put(store, "github")
    file = secrets_directory_of(store) / ENCRYPTED
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(content)
    for use in (
        lambda: get(store, "github"),
        lambda: put(store, "github", b"new"),
        lambda: put(store, "other", b"new"),
        lambda: asyncio.run(store.delete("github")),
        lambda: store.create(*new_opening("/k").new_key(b"k")),
    ):
        with pytest.raises(Damaged, match=str(file)):
            use()
    assert file.read_bytes() == content


def test_what_opens_it_can_be_changed(store: LocalStore, tmp_path: Path, forget: Any) -> None:
    put(store, "github")
    before = (secrets_directory_of(store) / ENCRYPTED).read_bytes()
    path = tmp_path / "key2"
    store.create(*new_opening(str(path)).new_key(unlocking.make_key_file(path)))
    forget()
    assert get(store, "github") == VALUE
    path.write_text((secrets_directory_of(store).parent / "key").read_text())
    forget()
    with pytest.raises(WrongKey):
        get(store, "github")
    assert (secrets_directory_of(store) / ENCRYPTED).read_bytes() != before


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    unlocking.make_key_file(tmp_path / "key")
    with pytest.raises(HostError, match="exists already"):
        unlocking.make_key_file(tmp_path / "key")


def test_processes_that_set_different_names_at_once_lose_none(store: LocalStore) -> None:
    environment = store._environment
    script = """
import asyncio, sys
from outward.credentials.local.store import LocalStore
store = LocalStore(dict(item.split("=", 1) for item in sys.argv[2:]))
async def main():
    for number in range(10):
        await store.put(f"{sys.argv[1]}-{number}", b"value")
asyncio.run(main())
"""
    settings = [f"{name}={value}" for name, value in environment.items()]
    writers = [subprocess.Popen([sys.executable, "-c", script, name, *settings]) for name in ("one", "two")]
    assert [writer.wait(timeout=100) for writer in writers] == [0, 0]
    assert len(store.entries()) == 20
    assert get(store, "one-9") == get(store, "two-0") == b"value"


def test_without_the_lock_one_would_be_lost(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sibling: another one writes between our reading and our writing."""
    monkeypatch.setattr("outward.credentials.local.encrypted.files.exclusive", lambda _: contextlib.nullcontext())

    def slow_seal(*given: Any) -> bytes:
        monkeypatch.undo()
        put(store, "two")
        return seal(*given)

    monkeypatch.setattr(encrypted, "seal", slow_seal)
    put(store, "one")
    assert list(store.entries()) == ["one"]


class TestKeyring:
    """The system keyring as a home; a backend of the library's own interface stands in for it."""

    def test_it_comes_first(self, with_keyring: dict[str, str], tmp_path: Path) -> None:
        store = LocalStore(with_keyring)
        assert put(store, "github") == "system keyring"
        assert get(store, "github") == VALUE
        kept = json.loads((tmp_path / "backends" / "kept.json").read_text())
        assert list(kept.values()) == [VALUE.decode()]
        assert store.entries()["github"].home == "system keyring"
        for file in secrets_directory(with_keyring).iterdir():
            assert VALUE not in file.read_bytes()
        assert asyncio.run(store.delete("github"))
        assert json.loads((tmp_path / "backends" / "kept.json").read_text()) == {}
        assert not store.entries()

    def test_two_state_directories_have_two_places_in_it(self, with_keyring: dict[str, str], tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir(mode=0o700)
        put(LocalStore(with_keyring), "github")
        put(LocalStore(with_keyring | {"OUTWARD_HOME": str(other)}), "github", b"other")
        assert get(LocalStore(with_keyring), "github") == VALUE

    def test_a_name_has_one_home(self, with_keyring: dict[str, str], store: LocalStore, tmp_path: Path) -> None:
        """``store`` made the encrypted file that both use."""
        both = LocalStore(with_keyring)
        put(store, "here")
        assert put(both, "here", b"new") == "encrypted file", "it stays where it is"
        assert put(both, "there") == "system keyring"
        assert put(both, "there", b"moved", in_file=True) == "encrypted file"
        assert json.loads((tmp_path / "backends" / "kept.json").read_text()) == {}
        assert (get(both, "here"), get(both, "there")) == (b"new", b"moved")

    def test_from_one_that_is_gone_a_name_can_move(self, with_keyring: dict[str, str], store: LocalStore) -> None:
        put(LocalStore(with_keyring), "github")
        gone = LocalStore(with_keyring | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})
        with pytest.raises(NoKeyring):
            put(gone, "github", b"new")
        with pytest.raises(NoKeyring):
            asyncio.run(gone.delete("github"))
        assert get(LocalStore(with_keyring), "github") == VALUE, "nothing has happened yet"
        assert put(gone, "github", b"new", in_file=True) == "encrypted file"
        assert get(LocalStore(with_keyring), "github") == get(store, "github") == b"new"

    def test_a_damaged_file_takes_nothing_else_with_it(self, with_keyring: dict[str, str], store: LocalStore) -> None:
        put(LocalStore(with_keyring), "github")
        (secrets_directory(with_keyring) / ENCRYPTED).write_bytes(b"damaged")
        assert get(LocalStore(with_keyring), "github") == VALUE
        with pytest.raises(Damaged):
            get(LocalStore(with_keyring), "other")

    def test_what_somebody_removed_from_it_is_said(self, with_keyring: dict[str, str], tmp_path: Path) -> None:
        put(LocalStore(with_keyring), "github")
        (tmp_path / "backends" / "kept.json").write_text("{}")
        with pytest.raises(HostError, match="not in the system keyring any more"):
            get(LocalStore(with_keyring), "github")

    @pytest.mark.parametrize("backend", ["Locked", "Broken", "Talkative"])
    def test_one_that_fails_is_no_reason_to_keep_it_elsewhere(self, with_keyring: dict[str, str], backend: str) -> None:
        store = LocalStore(with_keyring | {"PYTHON_KEYRING_BACKEND": f"backends.{backend}"})
        with pytest.raises(KeyringTrouble) as caught:
            put(store, "github")
        assert "ghp" not in str(caught.value) + caught.value.hint
        assert not store.entries()

    @pytest.mark.parametrize(
        "backend", ["backends.Weak", "keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"]
    )
    def test_one_that_protects_nothing_is_none(
        self, with_keyring: dict[str, str], store: LocalStore, backend: str
    ) -> None:
        weak = LocalStore(with_keyring | {"PYTHON_KEYRING_BACKEND": backend})
        assert put(weak, "github") == "encrypted file"

    def test_one_that_hangs_is_left(self, with_keyring: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "TIME_LIMIT", 1.0)
        with pytest.raises(KeyringTrouble, match="did not answer"):
            put(LocalStore(with_keyring | {"PYTHON_KEYRING_BACKEND": "backends.Hanging"}), "github")

    def test_without_the_library(self, with_keyring: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("outward.credentials.local.system.importlib.util.find_spec", lambda _: None)
        with pytest.raises(NoKeyring) as caught:
            asyncio.run(system.SystemKeyring(with_keyring).get("s", "u"))
        assert caught.value.hint == "pip install 'outward[keyring]'"

    def test_no_module_is_taken_from_where_the_caller_stands(
        self, with_keyring: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The current directory is the workspace, in which the agent writes."""
        workspace = tmp_path / "workspace"
        workspace.mkdir()
        for name in ("keyring.py", "json.py", "outward.py"):
            (workspace / name).write_text(f"open({str(tmp_path / 'taken')!r}, 'w')")
        monkeypatch.chdir(workspace)
        assert put(LocalStore(with_keyring), "github") == "system keyring"
        assert not (tmp_path / "taken").exists()
        subprocess.run([sys.executable, "-c", "import json"], timeout=60)
        assert (tmp_path / "taken").exists(), "Python itself would have taken it"

    def test_a_damaged_index_is_named(self, with_keyring: dict[str, str]) -> None:
        put(LocalStore(with_keyring), "github")
        file = secrets_directory(with_keyring) / INDEX
        file.write_text("[1]")
        with pytest.raises(HostError, match=str(file)):
            LocalStore(with_keyring).entries()


class TestSource:
    """``keyring`` in a policy."""

    def fetch(self, argument: Any, environment: dict[str, str]) -> bytes:
        store = CredentialStore({"key": SecretSpec("key", "keyring", argument)}, environment=environment)
        return asyncio.run(store.get("key")).reveal()

    def test_a_name_of_the_store(self, store: LocalStore) -> None:
        put(store, "github")
        assert self.fetch("github", dict(store._environment)) == VALUE
        with pytest.raises(SecretUnavailable, match="never set") as caught:
            self.fetch("gitlab", dict(store._environment))
        assert caught.value.hint == "outward secret set gitlab"

    def test_a_locked_store_says_the_way_out(self, environment: dict[str, str], store: LocalStore, forget: Any) -> None:
        put(store, "github")
        forget()
        (secrets_directory(environment).parent / "key").unlink()
        with pytest.raises(SecretUnavailable, match="key file"):
            self.fetch("github", environment)

    def test_an_entry_of_somebody_else(self, with_keyring: dict[str, str]) -> None:
        entry = (("service", "gh:github.com"), ("username", "me"))
        with pytest.raises(SecretUnavailable, match=r"gh:github\.com"):
            self.fetch(entry, with_keyring)
        asyncio.run(system.SystemKeyring(with_keyring).set("gh:github.com", "me", "gho_test_1"))
        assert self.fetch(entry, with_keyring) == b"gho_test_1"
        with pytest.raises(SecretUnavailable, match="no system keyring"):
            self.fetch(entry, with_keyring | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})


def test_making_the_key_does_not_hold_up_the_event_loop(
    environment: dict[str, str], tmp_path: Path, forget: Any
) -> None:
    """Others go on meanwhile, and it is made once however many wait for it."""
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery\n")
    file.chmod(0o600)
    store = LocalStore(environment | {"OUTWARD_PASSPHRASE_FILE": str(file)})
    put(store, "github")
    forget()

    async def story() -> int:
        turns = 0
        reading = asyncio.ensure_future(store.get("github"))
        while not reading.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert await reading == VALUE
        return turns

    assert asyncio.run(story()) > 5


def test_what_opens_it_is_known_so_that_no_sandbox_sees_it(store: LocalStore, environment: dict[str, str]) -> None:
    key = secrets_directory(environment).parent / "key"
    told = environment | {"OUTWARD_PASSPHRASE_FILE": "/somewhere/passphrase"}
    assert [str(path) for path in opening_files(told)] == ["/somewhere/passphrase", str(key)]
    assert list(opening_files(environment | {"OUTWARD_PASSPHRASE_FILE": "/dev/fd/7"})) == [key]
    (secrets_directory(environment) / ENCRYPTED).unlink()
    assert list(opening_files(environment)) == []


def test_times_are_those_of_the_setting(store: LocalStore) -> None:
    put(store, "github")
    moment = store.entries()["github"].set
    assert time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")


def test_a_token_that_is_good_for_one_use_is_used_once(store: LocalStore) -> None:
    """Refresh tokens are used up when they are used; whoever comes second has to find the new one."""
    used: list[bytes | None] = []

    async def refresh(*, in_turn: bool) -> None:
        with await store.take_turn("captured/claude/token") if in_turn else contextlib.nullcontext():
            token = await store.get("captured/claude/token")
            used.append(token)
            await store.put("captured/claude/token", b"token-%d" % len(used))

    async def twice(*, in_turn: bool) -> None:
        used.clear()
        await store.put("captured/claude/token", b"token-0")
        await asyncio.gather(refresh(in_turn=in_turn), refresh(in_turn=in_turn))

    asyncio.run(twice(in_turn=True))
    assert used == [b"token-0", b"token-1"]
    asyncio.run(twice(in_turn=False))
    assert used == [b"token-0", b"token-0"], "without it the same token is used twice"


def test_who_is_killed_in_its_turn_holds_up_nobody(store: LocalStore) -> None:
    script = """
import asyncio, sys
from outward.credentials.local.store import LocalStore
async def main():
    with await LocalStore(dict(item.split("=", 1) for item in sys.argv[1:])).take_turn("token"):
        print("mine", flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""
    settings = [f"{name}={value}" for name, value in store._environment.items()]

    async def soon() -> bool:
        try:
            async with asyncio.timeout(0.2):
                with await store.take_turn("token"):
                    return True
        except TimeoutError:
            return False

    with subprocess.Popen([sys.executable, "-c", script, *settings], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        assert asyncio.run(soon()) is False
        other.kill()
    assert asyncio.run(soon()) is True
