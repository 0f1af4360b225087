"""The store: fetched once, for as long as it is good, and no when it cannot be had."""

from __future__ import annotations

import asyncio
import copy
import pickle
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from outward.core import Secret, SecretUnavailable
from outward.credentials import CredentialStore
from outward.credentials.forms.header import header_text
from outward.credentials.kept import Fetched
from outward.credentials.sources import SOURCES
from outward.policy import SecretSpec

if TYPE_CHECKING:
    from pathlib import Path

    from outward.credentials.sources import Outside
from typing import Any


def spec(source: Any, argument: Any, ttl: float | None = None, **more: str | None) -> SecretSpec:
    return SecretSpec("key", source, argument, ttl, more.get("expose"), more.get("placeholder"))


def get(one: SecretSpec, environment: dict[str, str] | None = None) -> bytes:
    store = CredentialStore({"key": one}, environment=environment or {})
    return asyncio.run(store.get("key")).reveal()


def test_a_variable() -> None:
    assert get(spec("env", "KEY"), {"KEY": "value"}) == b"value"
    for environment in ({}, {"KEY": ""}, {"key": "value"}):
        with pytest.raises(SecretUnavailable, match="KEY"):
            get(spec("env", "KEY"), environment)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"value\r\n")
    file.chmod(0o600)
    assert get(spec("file", file)) == b"value"
    for break_it in (
        lambda: file.write_bytes(b"\n"),
        lambda: file.write_bytes(b"x" * 70_000),
        lambda: file.chmod(0o604),
        file.unlink,
        file.mkdir,
    ):
        break_it()
        with pytest.raises(SecretUnavailable, match=str(file)):
            get(spec("file", file))


@pytest.mark.parametrize("argument", [("sh", "-c", "exit 3"), ("true",), ("/no/such/program",), ()])
def test_a_command_that_gives_nothing(argument: tuple[str, ...]) -> None:
    assert get(spec("command", ("sh", "-c", "echo value")), {"PATH": "/usr/bin:/bin"}) == b"value"
    with pytest.raises(SecretUnavailable):
        get(spec("command", argument), {"PATH": "/usr/bin:/bin"})


def test_a_failing_command_does_not_repeat_what_it_said() -> None:
    with pytest.raises(SecretUnavailable) as caught:
        get(
            spec("command", ("sh", "-c", "echo sk-ant-test-leak; echo sk-ant-test-leak >&2; exit 1")),
            {"PATH": "/usr/bin:/bin"},
        )
    assert "sk-ant" not in str(caught.value) + caught.value.hint


def counter(file: Path) -> SecretSpec:
    return spec("command", ("sh", "-c", f"echo x >> {file}; wc -l < {file}"), ttl=60)


def test_many_wait_for_one_fetch(tmp_path: Path) -> None:
    async def many() -> set[bytes]:
        store = CredentialStore({"key": counter(tmp_path / "n")}, environment={"PATH": "/usr/bin:/bin"})
        return {secret.reveal() for secret in await asyncio.gather(*(store.get("key") for _ in range(20)))}

    assert asyncio.run(many()) == {b"1"}


def test_a_value_expires_and_a_failure_stands_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("outward.credentials.kept.time", SimpleNamespace(monotonic=lambda: now[0]))
    file = tmp_path / "secret"
    file.write_bytes(b"one")
    file.chmod(0o600)

    async def story() -> None:
        store = CredentialStore({"key": spec("file", file, ttl=10)}, environment={})
        assert store.cached("key") is None
        assert (await store.get("key")).reveal() == b"one"
        file.write_bytes(b"two")
        assert (await store.get("key")).reveal() == b"one"
        now[0] += 11
        assert store.cached("key") is None, "an expired value is not used"
        assert (await store.get("key")).reveal() == b"two"
        file.unlink()
        now[0] += 11
        for _ in range(2):
            with pytest.raises(SecretUnavailable):
                await store.get("key")
        file.write_bytes(b"three")
        file.chmod(0o600)
        with pytest.raises(SecretUnavailable):
            store.cached("key")
        now[0] += 3
        assert (await store.get("key")).reveal() == b"three"

    asyncio.run(story())


class Service:
    """A source whose answers the test decides: it counts how often it was asked, and may be made to wait or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.value: bytes | dict[str, bytes] | SecretUnavailable = {"user": b"u1", "password": b"p1"}
        self.asked = 0
        monkeypatch.setitem(SOURCES, "service", self)

    ttl = None
    read = None

    async def fetch(self, spec: SecretSpec, outside: Outside) -> Fetched:
        self.asked += 1
        if isinstance(self.value, SecretUnavailable):
            raise self.value
        return Fetched(self.value)


def part(name: str, field: str | None) -> SecretSpec:
    return SecretSpec(name, "service", (("path", "database/creds/app"),), part=field)


def test_parts_of_one_thing_are_fetched_together(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(monkeypatch)

    async def story() -> None:
        store = CredentialStore({n: part(n, n) for n in ("user", "password", "other")}, environment={})
        both = await asyncio.gather(store.get("user"), store.get("password"))
        assert [secret.reveal() for secret in both] == [b"u1", b"p1"]
        assert store.cached("user") is both[0], "the same object, as long as the value is the same"
        with pytest.raises(SecretUnavailable, match="no field 'other'") as caught:
            await store.get("other")
        assert "password, user" in caught.value.hint
        assert service.asked == 1
        assert store.mask("/u1/p1") == "/[secret user]/[secret password]"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("value", "field"),
    [
        *(({"a": b"x"}, None), (b"x", "a"), ({}, None), ({}, "a"), ({"a": b""}, "a"), (b"", None)),
        *((b"[" * 100_000, "a"), (b'{"a": "\\ud800"}', "a"), (b'["a"]', "a")),
    ],
)
def test_a_part_that_is_not_there_is_never_the_whole(
    monkeypatch: pytest.MonkeyPatch, value: bytes | dict[str, bytes], field: str | None
) -> None:
    service = Service(monkeypatch)
    for given, named in (({"a": b"x"}, "a"), (b"x", None)):
        service.value = given
        assert asyncio.run(CredentialStore({"n": part("n", named)}, environment={}).get("n")).reveal() == b"x"
    service.value = value
    with pytest.raises(SecretUnavailable):
        asyncio.run(CredentialStore({"n": part("n", field)}, environment={}).get("n"))


def test_a_failure_is_told_under_the_name_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(monkeypatch)
    service.value = SecretUnavailable("user", "permission denied", hint="Ask for it.")

    async def story() -> None:
        store = CredentialStore({n: part(n, n) for n in ("user", "password")}, environment={})
        for name in ("user", "password"):
            with pytest.raises(SecretUnavailable, match=f"secret '{name}': permission denied") as caught:
                await store.get(name)
            assert (caught.value.name, caught.value.hint) == (name, "Ask for it.")
        with pytest.raises(SecretUnavailable, match="secret 'password'"):
            store.cached("password")
        assert service.asked == 1

    asyncio.run(story())


def test_of_a_value_that_changes_for_ever_the_last_ones_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CredentialStore({}, environment={})
    for number in range(100):
        store._know(Secret("key", f"value-{number:03}".encode()))
    store._know(Secret("other", b"constant"))
    assert store.mask("/value-099") == "/[secret key]"
    assert store.mask("/value-000") == "/value-000"
    assert len(store._known) < 20


def test_placeholders_are_made_at_once_and_survive_a_reload() -> None:
    specs = {"key": spec("env", "KEY", expose="API_KEY")}
    store = CredentialStore(specs, environment={"KEY": "sk-ant-test-1234567890123456"})
    (text,) = store.exposed().values()
    assert text.startswith("sk-ant-")
    again = CredentialStore(specs, environment={}, previous=store)
    assert again.exposed() == {"API_KEY": text}
    assert CredentialStore(specs, environment={}).exposed() != {"API_KEY": text}


def test_known_values_are_masked() -> None:
    store = CredentialStore({"key": spec("env", "KEY")}, environment={"KEY": "value-1"})
    assert store.mask("/a/value-1") == "/a/value-1", "not known before it was fetched"
    asyncio.run(store.get("key"))
    assert store.mask("/a/value-1") == "/a/[secret key]"
    assert store.mask("/%61/%76alue%2D1") == "/a/[secret key]"
    assert store.mask("/%61/%76alue%2D2") == "/%61/%76alue%2D2"


def test_after_a_reload_the_values_of_before_are_still_masked() -> None:
    """Requests that began before it go on, and the last of them may fetch a value only then."""
    specs = {name: SecretSpec(name, "env", name.upper()) for name in ("old", "late")}
    before = CredentialStore(specs, environment={"OLD": "value-1", "LATE": "value-2"})
    asyncio.run(before.get("old"))
    after = CredentialStore({}, environment={}, previous=before)
    asyncio.run(before.get("late"))
    assert after.mask("/value-1/value-2") == "/[secret old]/[secret late]"
    assert CredentialStore({}, environment={}).mask("/value-1/value-2") == "/value-1/value-2"


def test_several_processes_use_the_same_placeholders() -> None:
    specs = {"key": spec("env", "KEY", expose="API_KEY")}
    environment = {"KEY": "sk-ant-test-1234567890123456"}
    made = CredentialStore(specs, environment=environment).placeholders
    assert CredentialStore(specs, environment=environment, placeholders=made).placeholders == made
    assert CredentialStore(specs, environment=environment).placeholders != made


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("key", b"value-1")
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        str([secret]),
        str({"a": secret}),
    ):
        assert "value-1" not in shown
        assert "key" in shown
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="key"):
            refuse(secret)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\0", b"a\x7f", b"a\nb"])
def test_a_value_that_would_forge_a_header_is_refused(value: bytes) -> None:
    assert header_text(Secret("key", b"a\tb \xe9")) == "a\tb \xe9"
    with pytest.raises(SecretUnavailable):
        header_text(Secret("key", value))
