"""Control groups on machines that are made up of files: what is found, and what would be written."""

from __future__ import annotations

import os
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from outward.core import HostError, Limits
from outward.isolation.cgroups import Nowhere, held, place, systemd, version1, version2
from outward.isolation.cgroups.groups import group, own_name, sweep
from outward.isolation.cgroups.mounts import Mount, Mounts

ALL = Limits(memory=1 << 30, cpus=1.5, pids=100)


@pytest.fixture
def process(tmp_path):
    def make(mountinfo: str, cgroup: str) -> Mounts:
        (tmp_path / "mountinfo").write_text(mountinfo)
        (tmp_path / "cgroup").write_text(cgroup)
        return Mounts.read(tmp_path)

    return make


class TestMounts:
    def test_version_2(self, process):
        line = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
        found = process(line, "0::/user.slice/user-1000.slice/session-3.scope\n")
        assert found == Mounts(Mount("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope"), {})

    def test_version_1_with_controllers_together(self, process):
        line = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        found = process(line, "2:cpu,cpuacct:/a\n1:name=systemd:/b\n")
        assert (
            found.controllers["cpu"]
            == found.controllers["cpuacct"]
            == Mount("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/a")
        )
        assert found.unified is None

    def test_a_container_whose_part_is_mounted_as_the_whole(self, process):
        line = "33 31 0:30 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        assert process(line, "2:pids:/docker/abc\n").controllers["pids"].own == "/sys/fs/cgroup/pids"
        assert process(line, "2:pids:/docker/abc/d\n").controllers["pids"].own == "/sys/fs/cgroup/pids/d"

    def test_a_group_that_is_not_in_view(self, process):
        line = "33 31 0:30 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        assert process(line, "2:pids:/docker/other\n").controllers["pids"].own == "/sys/fs/cgroup/pids"

    def test_none(self, process, tmp_path):
        assert process("23 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n") == Mounts(None, {})
        assert Mounts.read(tmp_path / "nothing") == Mounts(None, {})

    def test_of_this_machine(self):
        found = Mounts.read()
        for mount in (*found.controllers.values(), *filter(None, [found.unified])):
            assert Path(mount.own, "cgroup.procs").exists()


def directory(path: Path, *, controllers: str = "cpu memory pids", passed_on: str = "", processes: str = "") -> Path:
    """A group of version 2."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("cgroup.controllers", controllers),
        ("cgroup.subtree_control", passed_on),
        ("cgroup.procs", processes),
        ("cgroup.type", "domain"),
    ):
        (path / name).write_text(text)
    return path


class TestVersion2:
    def test_the_nearest_group_that_passes_controllers_on(self, tmp_path):
        directory(tmp_path)
        slice_ = directory(tmp_path / "slice", passed_on="cpu memory pids")
        own = directory(slice_ / "scope", processes="12\n")
        found = version2.find(Mount(str(tmp_path), str(own)))
        assert (found.parent, {*found.holds}, [*found.enable]) == (slice_, {"memory", "cpus", "pids"}, [])

    def test_an_empty_group_can_be_told_to(self, tmp_path):
        slice_ = directory(tmp_path / "slice", passed_on="pids")
        own = directory(slice_ / "scope", processes="12\n")
        found = version2.find(Mount(str(tmp_path), str(own)))
        assert (found.parent, found.enable) == (slice_, ("cpu", "memory"))

    def test_one_with_processes_cannot(self, tmp_path):
        own = directory(tmp_path / "container", processes="1\n12\n")
        found = version2.find(Mount(str(own), str(own)))
        assert (found.parent, found.holds) == (None, frozenset())
        assert "delegated" in found.reason

    def test_the_topmost_of_all_can(self, tmp_path):
        own = directory(tmp_path, processes="1\n12\n")
        (own / "cgroup.type").unlink()
        assert version2.find(Mount(str(own), str(own))).holds == {"memory", "cpus", "pids"}

    def test_nothing_above_the_mount_is_looked_at(self, tmp_path):
        directory(tmp_path, passed_on="cpu memory pids")
        own = directory(tmp_path / "mounted", processes="1\n")
        assert version2.find(Mount(str(own), str(own))).parent is None

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
    def test_what_may_not_be_written_is_not_ours(self, tmp_path):
        own = directory(tmp_path, passed_on="cpu memory pids")
        (own / "cgroup.procs").chmod(0o444)
        assert version2.find(Mount(str(own), str(own))).parent is None

    def test_what_is_written(self, tmp_path):
        place = version2.find(Mount(str(tmp_path), str(directory(tmp_path, passed_on="pids"))))
        with place.group(ALL) as take:
            mine = tmp_path / own_name()
            take(4711)
            written = {file.name: file.read_text() for file in mine.iterdir()}
        expected = {"memory.max": str(1 << 30), "cpu.max": "150000 100000", "pids.max": "100", "cgroup.procs": "4711"}
        assert {name: written[name] for name in expected} == expected
        assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory"


class TestVersion1:
    def test_only_controllers_that_are_mounted(self, tmp_path):
        found = version1.find({"pids": Mount(str(tmp_path), str(tmp_path)), "devices": Mount("/", "/")})
        assert found.holds == {"pids"}

    def test_what_is_written(self, tmp_path):
        mounts = {}
        for name in ("memory", "cpu", "pids"):
            (tmp_path / name).mkdir()
            mounts[name] = Mount(str(tmp_path / name), str(tmp_path / name))
        with version1.find(mounts).group(ALL) as take:
            take(4711)
            written = {file.name: file.read_text() for file in tmp_path.glob(f"*/{own_name()}/*")}
        assert written == {
            "memory.limit_in_bytes": str(1 << 30),
            "cpu.cfs_period_us": "100000",
            "cpu.cfs_quota_us": "150000",
            "pids.max": "100",
            "cgroup.procs": "4711",
        }


class TestGroups:
    def test_a_directory_that_cannot_be_made_is_an_error(self, tmp_path):
        with pytest.raises(HostError, match="control group"), group({tmp_path / "a" / "b": {}}):
            pass

    def test_a_setting_that_the_kernel_changes_is_an_error(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Path, "read_text", lambda self, **_: "max\n")
        with pytest.raises(HostError, match=r"pids.max is max, not 5"), group({tmp_path / "a": {"pids.max": "5"}}):
            pass

    def test_only_those_of_the_dead_are_swept(self, tmp_path):
        mine, dead, reused = own_name(), "outward-4194305-1", f"outward-{os.getpid()}-1"
        for name in (mine, dead, reused, "outward-x", "other-4194305-1"):
            (tmp_path / name).mkdir()
        sweep([tmp_path, tmp_path / "nothing"])
        assert {each.name for each in tmp_path.iterdir()} == {mine, "outward-x", "other-4194305-1"}


class TestHeld:
    """What somebody else's groups hold this process to."""

    @pytest.fixture
    def group(self, tmp_path, monkeypatch):
        directory(tmp_path, controllers="cpu memory pids")
        monkeypatch.setattr(held, "_own", lambda _: "user.slice/libpod-1.scope/container")
        scope = directory(tmp_path / "user.slice/libpod-1.scope")
        return directory(scope / "container")

    def missing(self, group: Path) -> list[str]:
        top = str(group.parents[2])
        return held.lacking(4711, ALL, Mounts(Mount(top, top), {}))

    def test_the_groups_own_numbers_or_those_above(self, group):
        (group.parent / "memory.max").write_text(f"{1 << 30}\n")
        (group.parent / "cpu.max").write_text("151000 100000\n")  # as systemd rounds
        (group / "pids.max").write_text("100\n")
        (group / "memory.max").write_text("max\n")
        assert self.missing(group) == []

    def test_more_than_was_asked_for_is_not_held(self, group):
        for name, text in (("memory.max", f"{2 << 30}\n"), ("cpu.max", "max 100000\n"), ("pids.max", "101\n")):
            (group / name).write_text(text)
        assert self.missing(group) == ["memory", "cpus", "pids"]

    def test_of_a_process_that_has_ended_everything_is_missing(self, group, monkeypatch):
        monkeypatch.setattr(held, "_own", lambda _: None)
        assert self.missing(group) == ["memory", "cpus", "pids"]

    def test_nothing_is_said_of_version_1(self, group):
        (group.parents[2] / "cgroup.controllers").write_text("hugetlb\n")
        assert self.missing(group) == []
        assert held.lacking(4711, ALL, Mounts(None, {})) == []

    def test_of_this_process(self):
        assert held.lacking(os.getpid(), Limits(files=1)) == []
        assert held._own(os.getpid()) == next(
            (line[4:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None
        )


def test_an_engine_that_has_no_groups_but_systemds(tmp_path, monkeypatch):
    """Podman without root."""
    mounts = Mounts(Mount(str(tmp_path), str(directory(tmp_path))), {})
    monkeypatch.setattr(systemd, "find", lambda _: None)
    assert place.managed(mounts).holds == place.managed(Mounts(None, {})).holds == frozenset()
    monkeypatch.setattr(systemd, "find", lambda top: systemd.Systemd("busctl", top, frozenset({"pids"}), 1000))
    assert place.managed(mounts).holds == {"pids"}


class TestSystemd:
    @pytest.fixture
    def machine(self, tmp_path, monkeypatch):
        """With systemd, whose client is told what to do."""
        client = tmp_path / "busctl"
        client.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\necho "Access denied" >&2\nexit 1\n')
        client.chmod(0o755)
        monkeypatch.setattr(systemd, "_CLIENTS", (str(client),))
        for name in ("systemd/system", "dbus/system_bus_socket"):
            (tmp_path / "run" / name).mkdir(parents=True)
        directory(tmp_path / "top", controllers="cpu memory pids io")
        return tmp_path

    def test_root_asks_the_systems(self, machine):
        found = systemd.find(machine / "top", run=machine / "run", user=0)
        assert isinstance(found, systemd.Systemd)
        assert found.holds == {"memory", "cpus", "pids"}
        with pytest.raises(HostError, match="Access denied"), found.group(ALL) as take:
            take(4711)
        words = (machine / "asked").read_text().split("\n")
        assert words[0] == "call"
        assert words[4:8] == ["StartTransientUnit", "ssa(sv)a(sa(sv))", f"{own_name()}.scope", "fail"]
        for expected in (
            ["PIDs", "au", "1", "4711"],
            ["MemoryMax", "t", str(1 << 30)],
            ["MemorySwapMax", "t", "0"],
            ["CPUQuotaPerSecUSec", "t", "1500000"],
            ["TasksMax", "t", "100"],
        ):
            start = words.index(expected[0])
            assert words[start : start + len(expected)] == expected

    def test_an_older_one_is_asked_for_less(self, machine):
        (machine / "busctl").write_text(
            f'#!/bin/sh\necho "$@" >>{machine}/asked\necho "unknown property" >&2\nexit 1\n'
        )
        found = systemd.find(machine / "top", run=machine / "run", user=0)
        assert found is not None
        with pytest.raises(HostError, match="unknown property"), found.group(ALL) as take:
            take(4711)
        first, second = (machine / "asked").read_text().splitlines()
        assert "OOMPolicy s continue" in first
        assert "OOMPolicy" not in second

    def test_it_is_not_asked_for_what_it_cannot_hold(self, machine):
        """Before version 252 it delegates no processor time to users."""
        (machine / "top/cgroup.controllers").write_text("memory pids\n")
        found = systemd.find(machine / "top", run=machine / "run", user=0)
        assert isinstance(found, systemd.Systemd)
        with pytest.raises(HostError), found.group(ALL) as take:
            take(4711)
        words = (machine / "asked").read_text().split("\n")
        assert {"MemoryMax", "TasksMax"} < {*words}
        assert "CPUQuotaPerSecUSec" not in words

    @pytest.mark.needs("root")
    def test_what_it_made_is_looked_at(self, machine, monkeypatch):
        """A client that does what systemd does: makes a group, and moves the process. The limits are in files of ours."""
        mount = Mounts.read().unified
        if mount is None:
            pytest.skip("NOT TESTED: this machine has no control groups of version 2")
        scope, top = f"{own_name()}.scope", machine / "top"
        (machine / "busctl").write_text(
            f"#!/bin/sh\nmkdir {mount.point}/{scope} {top}/{scope}\n"
            f"group={mount.point}/{scope}\n"
            'for word; do [ "$before" = "au 1" ] && echo $word >$group/cgroup.procs; before="$last $word"; last=$word; done\n'
            f"for file in memory.max pids.max cpu.max; do cp {machine}/$file {top}/{scope}/; done\n"
        )
        process = subprocess.Popen(["sleep", "60"])
        try:
            for texts, works in ((("5", "5", "5 5"), True), (("5", "max", "5 5"), False)):
                for name, text in zip(("memory.max", "pids.max", "cpu.max"), texts, strict=True):
                    (machine / name).write_text(text)
                monkeypatch.setattr(systemd, "PATIENCE", 30.0 if works else 0.3)
                found = systemd.find(top, run=machine / "run", user=0)
                assert found is not None
                with nullcontext() if works else pytest.raises(HostError, match="no scope"), found.group(ALL) as take:
                    take(process.pid)
        finally:
            process.kill()
            process.wait()
            Path(mount.point, scope).rmdir()

    @pytest.fixture
    def user(self, machine):
        """The part of a user's manager, as Debian 12 delegates it, and where its D-Bus is."""
        directory(machine / "top/user.slice/user-1000.slice/user@1000.service", controllers="cpu memory pids")
        bus = machine / "run/user/1000/bus"
        bus.parent.mkdir(parents=True)
        bus.touch()
        return bus

    @pytest.mark.usefixtures("user")
    def test_a_user_asks_the_users(self, machine):
        found = systemd.find(machine / "top", run=machine / "run", user=1000)
        assert isinstance(found, systemd.Systemd)
        assert found.holds == {"memory", "cpus", "pids"}

    def test_a_machine_without_systemd_has_none(self, machine):
        assert systemd.find(machine / "top", run=machine / "nothing", user=0) is None

    @pytest.mark.usefixtures("user")
    def test_nor_has_one_whose_controllers_are_of_version_1(self, machine):
        (machine / "top/cgroup.controllers").write_text("hugetlb\n")
        assert systemd.find(machine / "top", run=machine / "run", user=1000) is None

    @pytest.mark.usefixtures("user")
    def test_a_user_who_has_not_logged_in_is_told_so(self, machine):
        found = systemd.find(machine / "top", run=machine / "run", user=1001)
        assert isinstance(found, Nowhere)
        assert "enable-linger" in found.remedy

    def test_without_a_bus_nobody_can_be_asked(self, machine, user):
        user.unlink()
        (machine / "run/dbus/system_bus_socket").rmdir()
        for number, package in ((1000, "dbus-user-session"), (0, "`dbus`")):
            found = systemd.find(machine / "top", run=machine / "run", user=number)
            assert isinstance(found, Nowhere)
            assert package in found.remedy

    def test_why_it_cannot_be_asked_is_said_where_nothing_else_does(self, machine, monkeypatch):
        """What ``su`` gives somebody who has not logged in: a session of somebody else's, which is not delegated."""
        top = machine / "top"
        own = directory(top / "user.slice/user-0.slice/session-16.scope", processes="12\n")
        monkeypatch.setattr(systemd, "find", lambda _: systemd._NO_MANAGER)
        monkeypatch.setattr(version2, "find", lambda _: version2.Version2(None))
        assert place.survey(Mounts(Mount(str(top), str(own)), {})).reason == systemd._NO_MANAGER.reason
        holds = version2.Version2(own, frozenset({"pids"}))
        monkeypatch.setattr(version2, "find", lambda _: holds)
        assert place.survey(Mounts(Mount(str(top), str(own)), {})) == holds


def test_the_place_that_holds_most_is_taken(tmp_path):
    own = directory(tmp_path / "two", processes="1\n")
    (tmp_path / "pids").mkdir()
    mounts = Mounts(Mount(str(own), str(own)), {"pids": Mount(str(tmp_path / "pids"), str(tmp_path / "pids"))})
    assert place.survey(mounts).holds == {"pids"}


def test_without_groups_nothing_is_held_and_it_says_so():
    nowhere = place.survey(Mounts(None, {}))
    assert nowhere.holds == frozenset()
    assert "mounted" in nowhere.reason
    with nowhere.group(ALL) as take:
        take(1)
