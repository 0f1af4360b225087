"""What a person reads when the kernel says no."""

from __future__ import annotations

import errno
import json

import pytest

from outward.cage import cage
from outward.core import HostError


def report(step: str, code: int) -> bytes:
    return json.dumps({"step": step, "errno": code}).encode()


def test_the_step_and_the_cause_are_named():
    error = cage._explain(report("create a user and a network namespace", errno.EPERM))
    assert isinstance(error, HostError)
    assert error.message == (
        "this machine does not let us create a user and a network namespace: Operation not permitted"
    )
    assert error.hint


def test_a_child_that_says_nothing_is_an_error():
    assert "ended" in cage._explain(b"").message


@pytest.mark.parametrize("row", cage._CAUSES, ids=lambda row: row[0])
def test_the_setting_that_forbids_is_named_with_its_cure(tmp_path, monkeypatch, row):
    _, forbids, hint = row
    setting = tmp_path / "setting"
    monkeypatch.setattr(cage, "_CAUSES", ((str(setting), forbids, hint),))
    assert cage._way_out() == cage._OTHERWISE
    setting.write_text("15000\n")
    assert cage._way_out() == cage._OTHERWISE
    setting.write_text(f"{forbids}\n")
    assert cage._way_out() == hint
