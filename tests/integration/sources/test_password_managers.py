"""`op`, `bw` and `bws` are programs of the test's own here: they print what those document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sources.conftest import World

ITEM = {
    "object": "item",
    "id": "99ee88d2-6046-4ea7-92c2-acac464b1412",
    "name": "github",
    "notes": "ghp_test-notes",
    "login": {"username": "agent", "password": "ghp_test-bw", "totp": None},
    "fields": [{"name": "token", "value": "ghp_test-field", "type": 1}, {"name": "password", "value": "other"}],
}
ID = "be8e0ad8-d545-4017-a55a-b02f014d4158"


def test_op(world: World) -> None:
    secret = 'key: {onepassword: "op://dev/git hub/token"}'
    with pytest.raises(SecretUnavailable, match="cannot run op"):
        world.get(secret)
    world.program("op", '[ "$1 $2 $3" = "read --no-newline op://dev/git hub/token" ] && printf ghp_test-op')
    assert world.get(secret) == "ghp_test-op"
    for script in ("echo ghp_test-op >&2; echo ghp_test-op; exit 1", "exit 0"):
        world.program("op", script)
        with pytest.raises(SecretUnavailable, match="op ") as caught:
            world.get(secret)
        assert "ghp_test" not in f"{caught.value}{caught.value.hint}"


def test_bw(world: World) -> None:
    secret = "key: {bitwarden: {item: github}}"
    with pytest.raises(SecretUnavailable, match="cannot run bw"):
        world.get(secret)
    world.environment["BW_SESSION"] = "session-1"
    wanted = '[ "$*" = "get item github --nointeraction" ] && [ "$BW_SESSION" = session-1 ]'
    world.program("bw", f"{wanted} && echo '{json.dumps(ITEM)}'")
    assert world.get(secret) == "ghp_test-bw"
    for field, value in {"username": "agent", "token": "ghp_test-field", "notes": "ghp_test-notes"}.items():
        assert world.get(secret.replace("github", f"github, field: {field}")) == value
    assert world.get(secret.replace("github", "github, field: password")) == "ghp_test-bw", "not a field of that name"
    with pytest.raises(SecretUnavailable, match="no field 'totp'") as caught:
        world.get(secret.replace("github", "github, field: totp"))
    assert "ghp_test" not in caught.value.hint
    del world.environment["BW_SESSION"]
    with pytest.raises(SecretUnavailable, match="failed with status 1") as caught:
        world.get(secret)
    assert "bw unlock" in caught.value.hint


@pytest.mark.parametrize(
    "output",
    ["ghp_test", "[]", "{}", '{"login": "ghp_test"}', '{"login": {"password": ""}}', '{"fields": "ghp_test"}', ""],
)
def test_what_bw_should_not_print(world: World, output: str) -> None:
    world.program("bw", f"echo '{output}'")
    with pytest.raises(SecretUnavailable) as caught:
        world.get("key: {bitwarden: {item: github}}")
    assert "ghp_test" not in f"{caught.value}{caught.value.hint}"


def test_bws(world: World) -> None:
    secret = f"key: {{bitwarden: {{secret: {ID}}}}}"
    printed = {"object": "secret", "id": ID, "key": "github", "value": "ghp_test-bws"}
    world.program("bws", f"""[ "$*" = "secret get {ID} --output json" ] && echo '{json.dumps(printed)}'""")
    assert world.get(secret) == "ghp_test-bws"
    for script in ("exit 1", "echo '{}'", 'echo \'{"value": ""}\'', "echo '{\"value\": 5}'", "echo ghp_test"):
        world.program("bws", script)
        with pytest.raises(SecretUnavailable) as caught:
            world.get(secret)
        assert "ghp_test" not in str(caught.value)


def test_a_program_that_hangs_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outward.credentials.sources.programs.TIME_LIMIT", 0.2)
    world.program("op", "exec sleep 1000")
    with pytest.raises(SecretUnavailable, match="did not answer"):
        world.get('key: {onepassword: "op://dev/github/token"}')


def test_a_program_that_prints_without_end_is_ended(world: World) -> None:
    world.program("op", "exec yes ghp_test")
    with pytest.raises(SecretUnavailable, match="printed more than") as caught:
        world.get('key: {onepassword: "op://dev/github/token"}')
    assert "ghp_test" not in str(caught.value)


def test_nor_is_it_waited_for_when_it_prints_faster_than_is_read(world: World) -> None:
    """What lies in its pipe and is read by nobody must not keep us from its end."""
    lines = (
        "import fcntl, os",
        "fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)",
        "while True: os.write(1, bytes(1 << 20))",
    )
    world.program("op", "exec /usr/bin/python3 -c '" + "\n".join(lines) + "'")
    with pytest.raises(SecretUnavailable, match="printed more than"):
        world.get('key: {onepassword: "op://dev/github/token"}')


def test_what_lies_where_outward_was_started_is_not_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (planted := tmp_path / "project" / "op").parent.mkdir()
    planted.write_text("#!/bin/sh\nprintf planted\n")
    planted.chmod(0o755)
    monkeypatch.chdir(planted.parent)
    world.environment["PATH"] = f".:{world.environment['PATH']}"
    assert world.get("key: {command: [op]}") == "planted", "as by hand"
    with pytest.raises(SecretUnavailable, match="cannot run op"):
        world.get('key: {onepassword: "op://dev/github/token"}')
    world.program("op", "pwd")
    assert world.get('key: {onepassword: "op://dev/github/token"}') == "/\n"
