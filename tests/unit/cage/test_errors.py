"""What a person reads when the kernel says no."""

from __future__ import annotations

import errno
import json
import os

import pytest

from outward.cage import handing
from outward.core import HostError


def report(step: str, code: int, hint: str = "") -> bytes:
    return json.dumps({"step": step, "errno": code, "cause": os.strerror(code), "hint": hint}).encode()


def test_the_step_and_the_cause_are_named():
    error = handing.explain(report("create a user and a network namespace", errno.EPERM))
    assert isinstance(error, HostError)
    assert error.message == (
        "this machine does not let us create a user and a network namespace: Operation not permitted"
    )
    assert error.hint


def test_a_port_that_is_taken_has_nothing_to_do_with_namespaces():
    error = handing.explain(report("listen in the cage", errno.EADDRINUSE))
    assert "in use" in error.message
    assert not error.hint


def test_a_step_that_knows_its_way_out_tells_it():
    error = handing.explain(report("load the packet filter's rules", errno.EPERM, "Load the modules."))
    assert error.hint == "Load the modules."


def test_a_child_that_says_nothing_is_an_error():
    assert "ended" in handing.explain(b"").message


@pytest.mark.parametrize("row", handing._CAUSES, ids=lambda row: row[0])
def test_the_setting_that_forbids_is_named_with_its_cure(tmp_path, monkeypatch, row):
    _, forbids, hint = row
    setting = tmp_path / "setting"
    monkeypatch.setattr(handing, "_CAUSES", ((str(setting), forbids, hint),))
    assert handing._way_out() == handing._OTHERWISE
    setting.write_text("15000\n")
    assert handing._way_out() == handing._OTHERWISE
    setting.write_text(f"{forbids}\n")
    assert handing._way_out() == hint
