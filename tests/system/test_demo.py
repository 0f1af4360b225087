"""``make demo`` is what a newcomer sees first: it works, and it says so when it does not."""

from __future__ import annotations

import demo.__main__ as demo
import pytest

pytestmark = pytest.mark.needs("bubblewrap")

OK, BAD = "  ok   ", "  BAD  "


@pytest.fixture(autouse=True)
def small_path(monkeypatch):
    """Without ``claude``, which the demo would run as well."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def test_every_line_is_ok(capsys):
    assert demo.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(OK) for line in lines) == 9
    assert not [line for line in lines if line.startswith(BAD)]


def test_what_does_not_work_is_seen(capsys, monkeypatch):
    monkeypatch.setattr(demo, "POLICY", demo.POLICY.replace("POST /v1/messages, ", ""))
    assert demo.main() == 1
    assert f"{BAD}call the model with the placeholder key: 403 " in capsys.readouterr().out
