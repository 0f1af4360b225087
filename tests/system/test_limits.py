"""What a sandbox takes, with limits and without: each bomb goes off where nothing limits it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from outward.isolation.cgroups import survey
from outward.isolation.cgroups.mounts import Mounts
from outward.isolation.cgroups.systemd import Systemd
from tests.system.conftest import FORKS, listening
from tests.system.test_end import ready, until

pytestmark = pytest.mark.needs("bubblewrap")

MEMORY = """
import os, signal, sys
children = int(sys.argv[1])
ready, said = os.pipe()
for _ in range(children):
    if os.fork() == 0:
        try:
            kept = bytes([1]) * (60 << 20)
            os.write(said, b"x")
        except MemoryError:
            os._exit(1)
        signal.pause()
took = 0
os.set_blocking(ready, False)
while took < children and os.waitpid(-1, os.WNOHANG) == (0, 0):
    try:
        took += len(os.read(ready, 1))
    except BlockingIOError:
        pass
print("together", took)
"""
"""Processes that take 60 MiB each and keep it: how many did, when all had or the first was killed."""

SETTINGS = {"memory.limit_in_bytes", "memory.max", "pids.max", "cpu.cfs_quota_us", "cpu.max"}

FILES = """
import os
count = 0
try:
    while count < 2000:
        os.dup(0)
        count += 1
except OSError as error:
    print(error.errno)
else:
    print("no end")
"""


def limited(caller, limits: str, *command: str, options: tuple[str, ...] = ()):
    text = f"version: 1\nsandbox: {{limits: {limits}}}\n"
    policy = caller.file(caller.home / "policy.yaml", text)
    return caller.outward("run", "--quiet", "--policy", str(policy), *options, "--", *command)


def in_groups(caller) -> bool:
    """Whether this caller's memory and processes can be held together on this machine."""
    return caller.uid is None and "memory" in survey().holds


def groups_of(pid: int) -> list[Path]:
    """The control groups that a process of ours has made, as far as they are there now. systemd makes them elsewhere."""
    mounts = Mounts.read()
    tops = [mount.own for mount in mounts.controllers.values()]
    tops += [] if mounts.unified is None else [mounts.unified.point]
    found = (Path(where) / name for top in tops for where, names, _ in os.walk(top) for name in names)
    return [group for group in found if group.name.startswith(f"outward-{pid}-")]


class TestMemory:
    def test_one_process_cannot_take_more(self, caller):
        assert limited(caller, "{pids: 500}", "python3", "-c", "bytes([1]) * (300 << 20)").returncode == 0
        done = limited(caller, "{memory: 150M}", "python3", "-c", "bytes([1]) * (300 << 20)")
        if in_groups(caller):
            assert (done.returncode, "the command was killed" in done.stderr) == (137, True)
        else:
            assert "MemoryError" in done.stderr

    def test_nor_can_several_together(self, caller):
        command = ("python3", "-c", MEMORY, "5")
        assert limited(caller, "{pids: 500}", *command).stdout == "together 5\n"
        done = limited(caller, "{memory: 150M}", *command)
        if in_groups(caller):
            assert done.stdout != "together 5\n"
            assert "limit on memory" not in done.stderr
        else:
            assert "limit on memory: holds for each process, but not for all together" in done.stderr

    def test_what_is_in_memory_counts(self, caller):
        fill = ("sh", "-c", "head -c 200M /dev/zero >/tmp/a; cat /dev/zero | head -c 200M >/dev/shm/a; echo done")
        assert "No space" not in limited(caller, "{pids: 500}", *fill).stderr
        done = limited(caller, "{memory: 100M}", *fill)
        assert "No space" in done.stderr or "done" not in done.stdout


class TestProcesses:
    def test_a_fork_bomb_stops(self, caller):
        free = limited(caller, "{files: 512}", "python3", "-c", FORKS)
        assert int(free.stdout) == 400
        done = limited(caller, "{pids: 50}", "python3", "-c", FORKS)
        assert "limit on pids" not in done.stderr
        assert 30 < int(done.stdout) < 50

    def test_a_user_namespace_of_its_own_does_not_lift_it(self, caller):
        text = "version: 1\nsandbox: {seccomp: nested, limits: {pids: 50}}\n"
        policy = caller.file(caller.home / "nested.yaml", text)
        bomb = ("unshare", "--user", "--map-root-user", "python3", "-c", FORKS)
        done = caller.outward("run", "--quiet", "--policy", str(policy), "--", *bomb)
        assert 30 < int(done.stdout) < 50

    def test_the_callers_own_processes_do_not_count(self, caller):
        """The kernel counts processes of a user in each user namespace by itself."""
        with_many = limited(caller, "{pids: 20}", "sh", "-c", "echo fine")
        assert with_many.stdout == "fine\n"


def test_files_end(caller):
    assert limited(caller, "{pids: 500}", "python3", "-c", FILES).stdout in {"no end\n", "24\n"}
    assert limited(caller, "{files: 300}", "python3", "-c", FILES).stdout == "24\n"


class TestDisk:
    def test_directories_in_memory_are_full(self, caller):
        each = "for directory in /tmp /var /var/tmp /run /dev/shm"
        fill = f"{each}; do rm -f /var/[123]; for n in 1 2 3; do head -c 1M /dev/zero >$directory/$n || echo full; done; done"
        assert limited(caller, "{pids: 500}", "sh", "-c", fill).stdout == ""
        done = limited(caller, "{disk: 2M}", "sh", "-c", fill)
        assert (done.stdout.count("full"), done.stderr.count("No space")) == (5, 5), done.stderr

    def test_a_file_is_full(self, caller):
        fill = ("python3", "-c", "open('large', 'wb').write(bytes(3 << 20))")
        assert limited(caller, "{pids: 500}", *fill).returncode == 0
        done = limited(caller, "{disk: 2M}", *fill)
        assert "File too large" in done.stderr
        assert (caller.workspace / "large").stat().st_size <= 2 << 20

    def test_nothing_else_can_be_written(self, caller):
        done = limited(
            caller, "{disk: 2M}", "sh", "-c", "for where in / /dev /etc /home; do touch $where/more; done; ls /more"
        )
        assert done.stderr.count("Read-only file system") >= 4, done.stderr

    def test_what_is_not_held_is_said_and_strict_refuses(self, caller):
        assert "limit on disk: holds for each file" in limited(caller, "{disk: 2M}", "true").stderr
        assert "limit on disk" in limited(caller, "{disk: 2M}", "true", options=("--mode", "review")).stderr
        done = limited(caller, "{disk: 2M}", "sh", "-c", "echo ran", options=("--strict", "--mode", "review"))
        assert (done.returncode, done.stdout) == (125, "")
        assert "--strict" in done.stderr


def test_strict_runs_where_all_is_held(caller):
    done = limited(caller, "{pids: 50, files: 512, time: 1m}", "sh", "-c", "echo ran", options=("--strict",))
    assert (done.returncode, done.stdout, done.stderr.count("limit on")) == (0, "ran\n", 0)


def test_without_groups_strict_refuses(caller):
    if in_groups(caller):
        pytest.skip("this caller has control groups; the other has none")
    done = limited(caller, "{cpus: 1, memory: 1G}", "true", options=("--strict",))
    assert done.returncode == 125
    assert "limit on memory" in done.stderr
    assert "limit on cpus: not enforced" in done.stderr


class TestGroups:
    """Those of this process: what root leaves behind, or a user of systemd's."""

    @pytest.fixture(autouse=True)
    def _groups(self, caller):
        if not in_groups(caller):
            pytest.skip("this caller has no control groups")

    def test_the_kernel_has_the_numbers(self, caller):
        process = started(caller, "{memory: 1G, pids: 100, cpus: 0.5}")
        groups = groups_of(process.pid)
        numbers = {
            file.name: file.read_text().split() for group in groups for file in group.glob("*") if file.name in SETTINGS
        }
        assert all((group / "cgroup.procs").read_text().split() for group in groups)
        assert numbers["pids.max"] == ["100"]
        assert ["50000"] in (numbers.get("cpu.cfs_quota_us"), numbers.get("cpu.max", [])[:1])
        assert [str(1 << 30)] in (numbers.get("memory.limit_in_bytes"), numbers.get("memory.max"))
        process.terminate()
        process.wait(timeout=60)

    @pytest.mark.parametrize("end", ["itself", "SIGTERM"])
    def test_nothing_is_left(self, caller, end):
        process = started(caller, "{memory: 1G, pids: 100, cpus: 1}")
        assert groups_of(process.pid)
        process.send_signal(signal.SIGUSR1 if end == "itself" else signal.SIGTERM)
        process.wait(timeout=60)
        until(lambda: not groups_of(process.pid))

    def test_the_next_start_sweeps_what_a_killed_one_left(self, caller):
        process = started(caller, "{memory: 1G, pids: 100, cpus: 1}")
        process.kill()
        process.wait()
        until(lambda: not any(processes_in(group) for group in groups_of(process.pid)))
        assert isinstance(survey(), Systemd) or groups_of(process.pid)  # systemd has swept before
        assert limited(caller, "{memory: 1G, pids: 100, cpus: 1}", "true").returncode == 0
        until(lambda: not groups_of(process.pid))


def processes_in(group: Path) -> str:
    try:
        return (group / "cgroup.procs").read_text()
    except OSError:  # systemd has removed it meanwhile
        return ""


def started(caller, limits: str):
    policy = caller.file(caller.home / "policy.yaml", f"version: 1\nsandbox: {{limits: {limits}}}\n")
    process = caller.start("run", "--quiet", "--policy", str(policy), "--", *listening())
    ready(process)
    return process
