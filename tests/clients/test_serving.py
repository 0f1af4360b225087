"""The same clients outside of a sandbox, with what ``outward env`` prints and nothing else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import VALUE
from tests.clients.test_fetching import Client, each, page
from tests.support.caller import LIMIT
from tests.support.serve import Serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.clients.conftest import Desk
    from tests.clients.site import Site


@pytest.fixture
def api(site: Callable[..., Site]) -> Site:
    return site("api.test", page)


@pytest.fixture
def gateway(desk: Desk, api: Site, tmp_path: Path) -> Iterator[Serve]:
    desk.allow(api, "GET /page")
    text = desk.policy.read_text().removeprefix("version: 1\n")
    server = Serve(tmp_path, text, env={"SERVICE_TOKEN": VALUE})
    yield server
    server.stop()


def fetch(desk: Desk, client: Client, setting: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"{setting}\n{client.line}"],
        capture_output=True,
        text=True,
        env={"HOME": str(desk.caller.home), "PATH": desk.caller.environment["PATH"]},
        cwd=desk.caller.workspace,
        timeout=LIMIT,
    )


@each()
def test_the_printed_variables_are_all_that_is_needed(desk, api, gateway, client):
    printed = gateway.run("env", "--shell", "sh")
    done = fetch(desk, client, printed.stdout)
    assert (done.stdout, done.returncode) == ("GET /page for a friend\n", 0), done.stderr
    assert [asked.headers["authorization"] for asked in api.asked] == [f"Bearer {VALUE}"]


@each()
def test_without_the_trust_of_the_printed_variables_it_does_not_work(desk, api, gateway, client):
    printed = gateway.run("env", "--shell", "sh").stdout.splitlines()
    proxies = [line for line in printed if "proxy" in line.lower()]
    assert 0 < len(proxies) < len(printed)
    done = fetch(desk, client, "\n".join(proxies))
    assert done.returncode != 0
    assert not api.asked
