"""Any event, however hostile its strings, becomes one valid line."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outward.audit.encoding import encode, quote
from outward.audit.format import seal, unseal
from outward.core import Event
from tests.support.changed import changed, values
from tests.unit.audit.conftest import END

HOSTILE = st.text(st.characters(codec=None)) | st.sampled_from(
    ['"', "\\", "\n", '","hash":"', "\x00\x1b[31m", "\ud800", "\u2028", "x" * 5000, "\U0001f600" * 5000]
)
NUMBER = st.none() | st.integers(0, 2**63)
DURATION = st.none() | st.floats(0, 1e12)
EVENTS = st.builds(
    Event,
    phase=st.sampled_from(["start", "end", "note"]),
    **dict.fromkeys(("id", "kind", "agent"), HOSTILE),
    **{
        name: st.none() | HOSTILE
        for name in ("method", "scheme", "host", "path", "verdict", "code", "rule", "address", "error")
    },
    **dict.fromkeys(("secrets", "leaks"), st.lists(HOSTILE, max_size=3).map(tuple)),
    **dict.fromkeys(("port", "status", "bytes_in", "bytes_out"), NUMBER),
    duration_ms=DURATION,
    ttfb_ms=DURATION,
)
ORDER = [
    "seq",
    "time",
    "session",
    "agent",
    "phase",
    "id",
    "kind",
    "method",
    "scheme",
    "host",
    "port",
    "path",
    "verdict",
    "code",
    "rule",
    "secrets",
    "status",
    "bytes_in",
    "bytes_out",
    "duration_ms",
    "ttfb_ms",
    "address",
    "error",
    "leaks",
    "prev",
    "hash",
]


def record(event: Event) -> dict[str, Any]:
    line, digest = seal(encode(7, "2026-11-21T10:00:00.000000Z", quote("s"), event, "0" * 64))
    assert line.isascii()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    opened = unseal(line[:-1])
    assert opened is not None
    assert opened[1] == digest
    parsed: dict[str, Any] = json.loads(line)
    assert {**json.loads(opened[0]), "hash": digest} == parsed
    return parsed


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_every_event_becomes_one_line_that_says_the_same(event: Event) -> None:
    parsed = record(event)
    assert list(parsed) == [name for name in ORDER if name in parsed]
    for name, value in values(event).items():
        if value is None or (name == "leaks" and not value):
            assert name not in parsed
        elif isinstance(value, tuple):
            assert len(parsed[name]) == len(value)
        elif isinstance(value, float):
            assert parsed[name] == pytest.approx(value, abs=0.001)
        elif isinstance(value, int) or len(value) <= 1024:
            assert parsed[name] == value
        else:
            limit = 4096 if name == "path" else 1024
            assert parsed[name][:limit] == value[:limit]
            assert len(parsed[name]) <= limit + 40


def test_the_order_of_the_fields_is_the_contract() -> None:
    full = changed(END, code="path_not_allowed", address="192.0.2.1", error="reset", leaks=("github",))
    assert list(record(full)) == ORDER


def test_what_is_cut_says_so() -> None:
    assert record(changed(END, error="e" * 1030))["error"] == "e" * 1024 + "… (6 more characters)"
    assert record(changed(END, path="/" * 4096))["path"] == "/" * 4096


def test_no_text_can_pose_as_a_seal() -> None:
    parsed = record(changed(END, error='x","hash":"' + "0" * 64 + '"}'))
    assert parsed["error"].endswith('"}')
    assert re.fullmatch("[0-9a-f]{64}", parsed["hash"])
    assert parsed["hash"] != "0" * 64
