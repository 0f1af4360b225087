"""A gateway that is started by a fork, as most are here, is the one that the command starts: tests.support.forked."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.serve import Serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.forked import Loaded
    from tests.support.upstream import Upstream

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
POLICY = """
secrets: {{key: {{env: KEY}}}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: {ca}
    allow: [GET /**]
    inject: [{{header: x-api-key, secret: key}}]
"""


@pytest.fixture(params=["command", "fork"])
def start(
    request: pytest.FixtureRequest, loaded: Loaded, upstream: Callable[..., Upstream], ca_file: Path, tmp_path: Path
) -> Callable[..., Serve]:
    policy = POLICY.format(port=upstream("api.test").port, ca=ca_file)

    def start(name: str, **env: str) -> Serve:
        (tmp_path / name).mkdir(mode=0o700)
        return Serve(tmp_path / name, policy, env=env, loaded=loaded if request.param == "fork" else None)

    return start


def test_each_has_an_environment_and_a_state_of_its_own(start: Callable[..., Serve]) -> None:
    one, two = start("one", KEY=KEY), start("two")
    assert one.get("api.test", "/a").status == 200
    assert two.get("api.test", "/a").code == "secret_unavailable"
    assert one.ca != two.ca
    assert [len({each["id"] for each in gateway.journal() if "id" in each}) for gateway in (one, two)] == [1, 1]
    assert [gateway.stop() for gateway in (one, two)] == [0, 0]


def test_one_that_is_killed_takes_no_other_along(start: Callable[..., Serve]) -> None:
    one, two = start("one", KEY=KEY), start("two", KEY=KEY)
    one.process.kill()
    assert one.process.wait(20) == -signal.SIGKILL
    assert not Path(f"/proc/{one.process.pid}").exists()
    assert two.get("api.test", "/a").status == 200
    assert two.stop() == 0


def test_what_it_cannot_use_is_said_and_it_ends(start: Callable[..., Serve], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match="cannot use the state directory"):
        start("one", OUTWARD_HOME=str(tmp_path / "file"))
