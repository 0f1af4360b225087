"""Journals and events for the tests of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.audit import Journal
from outward.core import Event
from tests.support.changed import changed

if TYPE_CHECKING:
    from pathlib import Path

START = Event(
    phase="start",
    id="r1",
    kind="http",
    agent="claude",
    method="POST",
    scheme="https",
    host="api.example.com",
    port=443,
    path="/v1/messages",
    verdict="allow",
    rule="api.example.com allow[0]",
    secrets=("anthropic",),
)
END = changed(START, phase="end", status=200, bytes_in=10, bytes_out=20, duration_ms=1.5, ttfb_ms=1.0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def write(directory: Path, count: int, *, session: str = "s", file_bytes: int = 1 << 20) -> list[Path]:
    """A journal of ``count`` records; gives its files in order."""
    with Journal.open(directory, session=session, file_bytes=file_bytes) as journal:
        for number in range(count):
            journal.append(changed(START, id=f"r{number}"))
    return sorted(directory.glob(f"{session}.*jsonl"), key=lambda path: (len(path.name), path.name))
