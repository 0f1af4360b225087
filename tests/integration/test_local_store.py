"""Secrets of the local store behind a gateway: they are used, and are nowhere else."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from outward.credentials.local.place import default_key_file
from outward.credentials.local.sealed import new_opening
from outward.credentials.local.store import LocalStore
from outward.credentials.local.unlocking import make_key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.support.serve import Serve
    from tests.support.upstream import Upstream

VALUE = "ghp_test+0123456789/abcdefghij="
PASSPHRASE = b"correct horse battery"
POLICY = """
secrets: {{github: {{keyring: gh}}}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{{header: authorization, value: "Bearer {{github}}"}}]
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A caller whose store has the secret; a passphrase opens it, which this environment does not tell."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    environment = {"HOME": str(tmp_path), "OUTWARD_HOME": str(state), "PATH": os.environ["PATH"]}
    keep(environment, *new_opening().new_key(PASSPHRASE))
    file = tmp_path / "passphrase"
    file.write_bytes(PASSPHRASE)
    file.chmod(0o600)
    return environment


def keep(environment: dict[str, str], *opening_and_key: object) -> None:
    store = LocalStore(environment)
    store.create(*opening_and_key)  # type: ignore[arg-type]
    asyncio.run(store.put("gh", VALUE.encode(), in_file=True))


def forms(value: str) -> list[bytes]:
    """The value as a careless program might have written it."""
    octets = value.encode()
    shifted = [base64.b64encode(b"x" * shift + octets)[4 if shift else 0 : -4] for shift in range(3)]
    return [
        octets,
        octets.hex().encode(),
        quote(value, safe="").encode(),
        octets.decode().encode("utf-16-le"),
        *shifted,
    ]


def found(root: Path) -> Iterable[Path]:
    """The files below ``root`` in which the value is, in whatever form."""
    for file in root.rglob("*"):
        if file.is_file() and any(form in file.read_bytes() for form in forms(VALUE)):
            yield file


def test_it_is_injected_and_in_no_file(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], environment: dict[str, str], tmp_path: Path
) -> None:
    server = upstream("api.test")
    told = environment | {"OUTWARD_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
    gateway = serve(POLICY.format(port=server.port), env=told)
    for path in ("/a", f"/{quote(VALUE, safe='')}", f"/?q={quote(VALUE, safe='')}"):
        answer = gateway.get("api.test", path)
        assert answer.status == 200
        assert VALUE.encode() not in answer.body
    assert all(seen.all("authorization") == [f"Bearer {VALUE}"] for seen in server.seen)
    assert gateway.stop() == 0
    assert list(found(tmp_path)) == []
    assert any((tmp_path / "state" / "journal").iterdir())
    (tmp_path / "state" / "careless").write_bytes(base64.b64encode(b"Bearer " + VALUE.encode()))
    assert [file.name for file in found(tmp_path)] == ["careless"], "the search finds what is there"


def test_locked_it_fails_closed_and_says_the_way_out(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], environment: dict[str, str]
) -> None:
    server = upstream("api.test")
    gateway = serve(POLICY.format(port=server.port), env=environment, enter=("setsid", "--wait"))
    answer = gateway.get("api.test", "/a")
    assert (answer.status, answer.code) == (503, "secret_unavailable")
    assert b"OUTWARD_PASSPHRASE_FILE" in answer.body
    assert server.seen == []
    assert "locked" in gateway.stderr.read_text()


def test_a_descriptor_is_read_once_and_opens_it_for_every_worker(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], environment: dict[str, str], tmp_path: Path
) -> None:
    server = upstream("api.test")
    os.mkfifo(tmp_path / "pipe")
    piped = ("sh", "-c", f'cat {tmp_path}/passphrase > {tmp_path}/pipe & exec 7<{tmp_path}/pipe; exec "$0" "$@"')
    told = environment | {"OUTWARD_PASSPHRASE_FILE": "/dev/fd/7"}
    arguments = ("--listen", "127.0.0.1:0", "--workers", "2")
    gateway = serve(POLICY.format(port=server.port), *arguments, env=told, enter=piped)
    assert {gateway.get("api.test", "/a").status for _ in range(10)} == {200}
    assert all(seen.all("authorization") == [f"Bearer {VALUE}"] for seen in server.seen)


def test_a_new_value_is_used_after_the_reload_that_asks_for_it(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], environment: dict[str, str]
) -> None:
    server = upstream("api.test")
    path = default_key_file(environment)
    LocalStore(environment).create(*new_opening(str(path)).new_key(make_key_file(path)))
    policy = POLICY.format(port=server.port)
    gateway = serve(policy, env=environment)
    gateway.get("api.test", "/a")
    asyncio.run(LocalStore(environment).put("gh", b"another-value"))
    gateway.reload(gateway.policy.read_text().removeprefix("version: 1\n"))
    gateway.get("api.test", "/b")
    assert [seen.all("authorization") for seen in server.seen] == [[f"Bearer {VALUE}"], ["Bearer another-value"]]


@pytest.mark.needs("core-dumps")
def test_a_gateway_that_crashes_leaves_no_core(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], environment: dict[str, str], tmp_path: Path
) -> None:
    server = upstream("api.test")
    told = environment | {"OUTWARD_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
    dumping = ("sh", "-c", 'ulimit -c unlimited; exec "$0" "$@"')
    gateway = serve(POLICY.format(port=server.port), env=told, enter=dumping)
    assert gateway.get("api.test", "/a").status == 200
    gateway.process.send_signal(signal.SIGABRT)
    assert gateway.process.wait(20) == -signal.SIGABRT
    assert not list(gateway.directory.glob("core*"))

    script = "import os, sys; value = sys.stdin.read(); os.abort()"
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    subprocess.run(
        [sys.executable, "-c", script],
        input=VALUE,
        text=True,
        cwd=crashed,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2),
    )
    assert list(found(crashed)), "a process that is not concealed leaves the value in its core"
