"""Which of a docker daemon's runtimes may run a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.backends import Place
from outward.backends.containers.docker import Docker
from outward.backends.containers.engine import Engine
from outward.backends.containers.runtimes import choose
from outward.core import HostError, Limits
from outward.isolation.launch import Launch

if TYPE_CHECKING:
    from pathlib import Path

HOST = ["--platform=ptrace", "--network=host"]


def info(*arguments: str, path: str = "/usr/bin/runsc", default: str = "runc") -> dict[str, object]:
    other = {"path": path, "runtimeArgs": list(arguments)}
    return {"DefaultRuntime": default, "Runtimes": {"runc": {"path": "runc"}, "other": other}}


def docker(tmp_path: Path, asked: str | None, said: dict[str, object], limits: Limits | None = None) -> Docker:
    return Docker(Engine("/usr/bin/docker", {}), said, Place(tmp_path, {}, None, limits or Limits(), asked))


def test_without_a_word_it_is_the_daemons():
    assert choose(None, {}) == choose(None, info()) == (None, False)
    assert choose(None, info()).arguments == choose(None, info()).holding == ()


def test_gvisor_runs_the_command_and_not_the_holder():
    runtime = choose("other", info(*HOST))
    assert runtime.gvisor
    assert runtime.arguments == ("--runtime=other",)
    assert runtime.holding == ("--runtime=runc",)


def test_gvisor_as_the_daemons_own_choice_is_known_for_what_it_is():
    assert choose(None, info(*HOST, default="other")) == choose("other", info(*HOST))
    with pytest.raises(HostError, match="a network of gVisor's own"):
        choose(None, info(default="other"))


@pytest.mark.parametrize("arguments", [("--network=host",), ("-network=host",), (*HOST, "--debug")])
def test_its_network_has_to_be_the_containers(arguments):
    assert choose("other", info(*arguments)).gvisor


@pytest.mark.parametrize(
    "arguments", [(), ("--network=sandbox",), ("--network=none",), ("--network", "host"), (*HOST, "--network=sandbox")]
)
def test_a_network_of_its_own_has_no_gateway_in_it(arguments):
    with pytest.raises(HostError, match="the gateway is not in it") as caught:
        choose("other", info(*arguments))
    assert "--network=host" in caught.value.hint


@pytest.mark.parametrize(
    "flag",
    [
        "--host-uds=all",
        "--host-uds=open",
        "-fsgofer-host-uds",
        "--net-raw",
        "--net-raw=true",
        "--net-raw false",
        "--host-fifo=open",
    ],
)
def test_what_opens_the_cage_is_refused(flag):
    with pytest.raises(HostError, match="out of the cage"):
        choose("other", info(*HOST, *flag.split()))


@pytest.mark.parametrize("flag", ["--host-uds=none", "--net-raw=false"])
def test_what_keeps_it_closed_is_not(flag):
    assert choose("other", info(*HOST, flag)).gvisor


@pytest.mark.parametrize(
    ("asked", "path", "reason"),
    [
        ("nothing", "/usr/bin/runsc", "has no runtime nothing"),
        ("other", "/usr/bin/kata-runtime", "is kata-runtime"),
        ("other", "", "registered without a path"),
    ],
)
def test_what_is_not_known_is_refused(asked, path, reason):
    with pytest.raises(HostError, match=reason):
        choose(asked, info(path=path))


def test_another_one_on_this_kernel_is_as_the_daemons_own():
    assert choose("other", info(path="/usr/bin/crun")).holding == ("--runtime=other",)


def test_it_is_said_before_it_starts(tmp_path):
    launch = Launch(("true",), (), {}, "/w", terminal=False)
    said = list(docker(tmp_path, "other", info(*HOST)).describe(launch))
    assert "docker     --runtime=other" in said
    assert any(line.startswith("kernel     gVisor") for line in said)


def test_its_own_threads_are_added_to_the_limit(tmp_path):
    said = info(*HOST) | {"PidsLimit": True}
    backend = docker(tmp_path, "other", said, Limits(pids=50))
    assert "docker     --pids-limit=178" in backend.describe(Launch(("true",), (), {}, "/w", terminal=False))
    assert [shortfall.limit for shortfall in backend.shortfalls] == ["pids"]
    assert docker(tmp_path, "other", said).shortfalls == ()
