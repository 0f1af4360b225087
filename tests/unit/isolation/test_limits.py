from __future__ import annotations

import resource
import subprocess

from outward.core import Limits
from outward.isolation import limits
from outward.isolation.cgroups import Nowhere
from outward.isolation.cgroups.version2 import Version2

EVERYTHING = Version2(None, frozenset({"memory", "cpus", "pids"}))
NOTHING = Nowhere("there are none", "Get some.")


def missing(given: Limits, place, *, root: bool) -> set[str]:
    return {each.limit for each in limits.plan(given, place, root=root).shortfalls}


def test_without_limits_nothing_is_looked_for():
    plan = limits.plan(Limits(time=5.0))
    assert (plan.place, plan.shortfalls, plan.in_memory) == (None, (), None)


def test_control_groups_hold_all_three():
    assert missing(Limits(memory=1 << 30, cpus=1, pids=10, files=300), EVERYTHING, root=True) == set()


def test_without_them_it_says_what_is_missing():
    given = Limits(memory=1 << 30, cpus=1, pids=10, files=300)
    assert missing(given, NOTHING, root=True) == {"memory", "cpus", "pids"}
    # The kernel counts the processes of a user who is not root, in each user namespace.
    assert missing(given, NOTHING, root=False) == {"memory", "cpus"}


def test_a_shortfall_is_one_line_with_the_way_out():
    (shortfall,) = limits.plan(Limits(cpus=1), NOTHING, root=False).shortfalls
    assert str(shortfall) == "limit on cpus: not enforced: there are none. Get some."


def test_a_disk_is_never_held_as_a_whole():
    assert missing(Limits(disk=1 << 20), EVERYTHING, root=True) == {"disk"}


def test_directories_in_memory_are_as_large_as_the_smaller():
    assert limits.plan(Limits(memory=5 << 20, disk=1 << 20), EVERYTHING).in_memory == 1 << 20
    assert limits.plan(Limits(memory=5 << 20), EVERYTHING).in_memory == 5 << 20


def test_an_old_kernel_counts_the_users_other_processes_as_well(monkeypatch):
    for release, expected in (
        ("5.13.0-generic", {"pids"}),
        ("5.14.0", set()),
        ("6.1.0-9-amd64", set()),
        ("5.14-rc1", set()),
    ):
        monkeypatch.setattr("os.uname", lambda release=release: type("Uname", (), {"release": release}))
        assert missing(Limits(pids=10), NOTHING, root=False) == expected


def test_each_process_is_held_where_no_group_holds_all():
    with limits.plan(Limits(memory=1 << 40, files=4096), NOTHING, root=False).open() as hold:
        process = subprocess.Popen(["sleep", "60"])
        try:
            hold(process.pid)
            assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (1 << 40, 1 << 40)
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (4096, 4096)
        finally:
            process.kill()
            process.wait()
