from __future__ import annotations

import pytest

from outward.core import HostError
from outward.isolation import runsc
from outward.isolation.runsc import Runsc

TOOL = Runsc("/usr/bin/runsc", "/usr/bin/unshare", "/usr/bin/nsenter")


def test_it_has_the_network_that_it_is_started_in_and_no_other():
    assert "--network=host" in TOOL.argv("ptrace", "/state", "/proc/self/fd/9")


def test_the_command_line_names_no_command_and_no_variable():
    assert TOOL.argv("systrap", "/state", "/proc/self/fd/9")[-4:] == (
        "run",
        "--bundle=/state",
        "--pid-file=/proc/self/fd/9",
        "sandbox",
    )


def test_a_signal_enters_the_cage_before_runscs_own_namespaces():
    words = TOOL.kill_argv(41, 7, "/state", 15)
    assert words.index("--user=/proc/self/fd/7") < words.index("--target=41")
    assert words[-4:] == ("kill", "--all", "sandbox", "15")


def test_kvm_is_never_used():
    assert "kvm" not in runsc.PLATFORMS


def test_a_missing_runsc_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runsc, "installed", lambda _: None)
    with pytest.raises(HostError, match="runsc") as failure:
        runsc.find()
    assert "package" in failure.value.hint
