"""Which runtime podman is asked for, with a podman that writes down what it is asked and starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.backends import Place, Spec
from outward.backends.containers import podman
from outward.backends.containers.engine import Engine
from outward.backends.containers.podman import Podman
from outward.core import HostError, Limits
from outward.isolation import programs
from outward.isolation.cgroups import Nowhere
from outward.isolation.launch import Launch

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH = Launch(("true",), (), {"NAME": "value"}, "/w", terminal=False)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Has podman asked for a container, with some runtime of its own: the commands."""

    def ask(*, controllers: str, runtime: str, runc: bool = True) -> list[str]:
        beside = tmp_path / "cgroup.controllers"
        beside.write_text(controllers)
        monkeypatch.setattr(podman, "_BESIDE", beside)
        monkeypatch.setattr(programs, "installed", lambda name: f"/usr/bin/{name}" if runc else None)
        log, program = tmp_path / "asked", tmp_path / "podman"
        program.write_text(
            f'#!/bin/sh\necho $* >>{log}\ncase "$*" in *create*) cat >>{log};; '
            f"inspect*) echo {runtime};; init*) echo not today >&2; exit 1;; esac\n"
        )
        program.chmod(0o755)
        backend = Podman(Engine(str(program), {"PATH": "/usr/bin:/bin"}), Place(tmp_path / "state", {}))
        with pytest.raises(HostError) as caught, backend.launch(Spec(LAUNCH, "S")):
            pytest.fail("it does not start")
        return [*log.read_text().splitlines(), caught.value.message, caught.value.hint or ""]

    return ask


def creations(lines: list[str]) -> list[str]:
    return [line.split("create")[0].strip() for line in lines if "create " in line]


def test_crun_is_left_for_runc_where_it_starts_nothing(asked):
    lines = asked(controllers="hugetlb\n", runtime="/usr/bin/crun")
    assert creations(lines) == ["", "--runtime=runc"]
    assert lines.count("NAME=value") == 2
    first, removed, second, *_ = [
        index for index, line in enumerate(lines) if "create " in line or line.startswith("rm ")
    ]
    assert first < removed < second


@pytest.mark.parametrize(("controllers", "runtime"), [("\n", "crun"), ("hugetlb\n", "runc"), ("hugetlb\n", "kata")])
def test_another_runtime_is_nobodys_business(asked, controllers, runtime):
    assert creations(asked(controllers=controllers, runtime=runtime)) == [""]


def test_without_runc_the_way_out_is_said(asked):
    lines = asked(controllers="hugetlb\n", runtime="crun", runc=False)
    assert creations(lines) == [""]
    assert lines[-2].startswith("podman's runtime crun starts nothing")
    assert lines[-1].startswith("Install runc")


class TestLimits:
    """Without root podman takes limits that it does not hold, where systemd makes no scope for it."""

    LIMITS = Limits(memory=1 << 30, cpus=1, pids=100)

    def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scopes: Nowhere, *, uid: int) -> Podman:
        monkeypatch.setattr(podman, "managed", lambda: scopes)
        monkeypatch.setattr("os.geteuid", lambda: uid)
        return Podman(Engine("/usr/bin/podman", {}), Place(tmp_path / "state", {}, limits=self.LIMITS))

    def test_what_no_scope_holds_is_said_and_not_asked_for(self, tmp_path, monkeypatch):
        backend = self.backend(tmp_path, monkeypatch, Nowhere("no manager", "Log in.", frozenset({"pids"})), uid=1000)
        assert [each.limit for each in backend.shortfalls] == ["cpus", "memory"]
        assert "no manager" in backend.shortfalls[0].reason
        words = [*backend.describe(LAUNCH)]
        assert any("--pids-limit=100" in word for word in words)
        assert not any("--memory" in word or "--cpus" in word for word in words)

    def test_root_has_groups_of_its_own(self, tmp_path, monkeypatch):
        backend = self.backend(tmp_path, monkeypatch, Nowhere("no manager", "Log in."), uid=0)
        assert backend.shortfalls == ()
        assert any("--memory=" in word for word in backend.describe(LAUNCH))

    def test_what_was_promised_is_looked_at(self, tmp_path, monkeypatch):
        backend = self.backend(tmp_path, monkeypatch, Nowhere("", "", frozenset({"memory", "pids"})), uid=1000)
        monkeypatch.setattr(podman, "lacking", lambda _, limits: [] if limits.memory is None else ["memory"])
        with pytest.raises(HostError, match="limits: memory"):
            backend._verify(4711)
        monkeypatch.setattr(podman, "lacking", lambda _, limits: [] if limits.cpus is None else ["cpus"])
        backend._verify(4711)  # that was not
