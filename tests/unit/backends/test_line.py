from __future__ import annotations

import pytest

from outward.backends import BACKENDS, Place, find
from outward.backends.containers import docker as docker_module
from outward.backends.containers import engine as engines
from outward.backends.containers import line
from outward.backends.containers.docker import Docker
from outward.backends.containers.engine import Engine
from outward.core import HostError, Limits
from outward.isolation import programs
from outward.isolation.launch import Launch

ENGINE = Engine("/usr/bin/docker", {"PATH": "/usr/bin"})


LAUNCH = Launch(("true",), (), {}, "/w", terminal=False)


def docker(tmp_path, limits: Limits | None = None, **info: object) -> Docker:
    return Docker(ENGINE, dict(info), Place(tmp_path, {}, None, limits or Limits()))


@pytest.mark.parametrize(
    "word",
    [
        "--rm",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--security-opt=seccomp=/profile",
        "--ipc=private",
        "--pull=never",
        "--no-healthcheck",
        "--user=1000:1000",
    ],
)
def test_what_every_container_has(word):
    assert word in list(line.confined("S", "/profile", "1000:1000"))


def test_nothing_widens_it():
    words = " ".join(line.confined("S", "/profile", "1000:1000"))
    assert not any(each in words for each in ("privileged ", "cap-add", "unconfined", "--device", "host"))


def test_limits_are_flags():
    limits = Limits(memory=100, cpus=1.5, pids=7, files=64, disk=9)
    words = list(line.limited(limits))
    assert {"--memory=100", "--memory-swap=100", "--cpus=1.5", "--pids-limit=7"} <= set(words)
    assert {"--ulimit=nofile=64:64", "--ulimit=fsize=9:9", "--ulimit=core=0:0"} <= set(words)
    assert not any("memory" in word or "pids" in word for word in line.limited(Limits()))


def test_what_the_daemon_cannot_enforce_is_said(tmp_path):
    able = {"MemoryLimit": True, "CpuCfsQuota": True, "PidsLimit": True}
    limits = Limits(memory=100, pids=7)
    assert docker(tmp_path, limits, **able).shortfalls == ()
    (shortfall,) = docker(tmp_path, limits, **able | {"PidsLimit": False}).shortfalls
    assert shortfall.limit == "pids"
    assert docker(tmp_path, None).shortfalls == (), "nothing was asked for"


def test_a_daemon_without_root_maps_root_to_its_user(tmp_path):
    launch = Launch(("true",), (), {}, "/w", terminal=False)
    assert "docker     --user=0:0" in docker(tmp_path, SecurityOptions=["name=rootless"]).describe(launch)


@pytest.mark.parametrize(
    ("caller", "options", "warned"),
    [((0, 0), [], True), ((0, 0), ["name=userns"], False), ((0, 0), ["name=rootless"], False), ((7, 7), [], False)],
)
@pytest.mark.usefixtures("mappable")
def test_who_would_be_root_of_this_machine_is_told(tmp_path, monkeypatch, caller, options, warned):
    monkeypatch.setattr(line, "caller", lambda: caller)
    assert bool(docker(tmp_path, SecurityOptions=options).warnings) is warned


@pytest.fixture
def mappable(monkeypatch):
    monkeypatch.setattr(docker_module, "obstacle", lambda paths, caller: "")


@pytest.mark.usefixtures("mappable")
def test_the_mapping_of_a_daemon_is_used(tmp_path):
    mapping = docker(tmp_path, SecurityOptions=["name=userns"])
    lines = list(mapping.describe(LAUNCH))
    assert "docker     --user=1000:1000" in lines
    assert "docker     users as the daemon maps them (userns-remap): 1000 inside is you outside" in lines
    assert not any("--userns" in each for each in lines)
    assert mapping.probe().remarks == ("users as the daemon maps them (userns-remap): 1000 inside is you outside",)
    assert not any("maps" in each for each in docker(tmp_path).describe(LAUNCH))


def test_a_daemon_that_cannot_map_the_callers_files_is_told_not_to(tmp_path, monkeypatch):
    monkeypatch.setattr(line, "caller", lambda: (0, 0))
    monkeypatch.setattr(docker_module, "obstacle", lambda paths, caller: "/w: no way")
    unmapped = docker(tmp_path, SecurityOptions=["name=userns"])
    assert "docker     --userns=host" in unmapped.describe(LAUNCH)
    assert "docker     --user=0:0" in unmapped.describe(LAUNCH)
    reason, _ = unmapped.warnings
    assert reason == "docker's daemon maps users (userns-remap) and is told not to: /w: no way"
    assert unmapped.probe().remarks == (reason,)


@pytest.mark.usefixtures("mappable")
def test_gvisor_is_told_not_to_map(tmp_path):
    runtimes = {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=host"]}}
    found = docker(tmp_path, SecurityOptions=["name=userns"], DefaultRuntime="runsc", Runtimes=runtimes)
    assert "docker     --userns=host" in found.describe(LAUNCH)


def test_a_daemon_that_does_not_answer_is_an_error(tmp_path):
    with pytest.raises(HostError, match="Cannot connect"):
        docker(tmp_path, ServerErrors=["Cannot connect"])


def test_an_engine_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(programs, "SYSTEM_PATH", "/nowhere")
    with pytest.raises(HostError, match="podman is not installed"):
        engines.find("podman", {})


def test_the_engine_gets_no_other_variables(monkeypatch, tmp_path):
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(tmp_path))
    found = engines.find("docker", {"DOCKER_HOST": "unix:///x", "ANTHROPIC_API_KEY": "sk-ant-test"})
    assert found.environment.keys() == {"PATH", "DOCKER_HOST"}


@pytest.mark.parametrize(("name", "words"), [("docker", ()), ("podman", ("--time=0",))])
def test_containers_are_removed_at_once(name, words):
    asked = Engine(f"/usr/bin/{name}", {}).removal(["a", "b"])
    assert asked == ("rm", "--force", "--volumes", *words, "a", "b")


def test_a_backend_that_is_not_there(tmp_path):
    with pytest.raises(HostError, match="not available"):
        find("nothing", Place(tmp_path, {}))
    assert "bubblewrap" in BACKENDS


def test_roots_daemon_is_for_root(tmp_path, monkeypatch):
    """Who is only in the group `docker` could start containers, but not make cages of their networks."""
    info = '{"SecurityOptions": ["name=seccomp,profile=default"]}'
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{info}'\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(line, "caller", lambda: (1000, 1000))
    with pytest.raises(HostError, match="daemon is root's"):
        find("docker", Place(tmp_path, {}))
    monkeypatch.setattr(line, "caller", lambda: (0, 0))
    assert find("docker", Place(tmp_path, {})).name == "docker"
