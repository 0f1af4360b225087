"""Engines that are on another machine: their numbers of processes are other processes' here."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from outward.backends import Place, Spec
from outward.backends.containers import docker, line, podman
from outward.backends.containers.engine import Engine
from outward.core import HostError
from outward.isolation.launch import Launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = Spec(Launch(("true",), (), {}, "/w", terminal=False), "S")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def engine(place: Path, name: str, inspected: str) -> Engine:
    program = place / name
    program.write_text(f'#!/bin/sh\ncase "$1" in run) exec cat;; inspect) echo {inspected};; esac\n')
    program.chmod(0o755)
    return Engine(str(program), {"PATH": "/usr/bin:/bin"})


def test_of_docker_nobody_here_is_taken_for_a_container(tmp_path, monkeypatch, bystander):
    monkeypatch.setattr(line, "caller", lambda: (0, 0))
    backend = docker.Docker(engine(tmp_path, "docker", str(bystander.pid)), {}, Place(tmp_path, {}))
    with pytest.raises(HostError, match="no process of this machine"), backend.launch(SPEC):
        pytest.fail("there is nothing in it")
    assert bystander.poll() is None


@pytest.mark.parametrize("monitor", [1, "{pid}"])
def test_of_podman_neither(tmp_path, monkeypatch, bystander, monitor):
    monkeypatch.setattr(podman, "_BESIDE", tmp_path / "none")
    inspected = f"{bystander.pid} {str(monitor).format(pid=bystander.pid)}"
    backend = podman.Podman(engine(tmp_path, "podman", inspected), Place(tmp_path, {}))
    with pytest.raises(HostError, match="no process of this machine"), backend.launch(SPEC):
        pytest.fail("there is nothing in it")
    assert bystander.poll() is None
