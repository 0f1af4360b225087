"""What ``--debug`` says: the record, in a line that no terminal takes for orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.audit import Journal
from outward.audit.telling import Telling, line_of
from outward.core import Code, Event

if TYPE_CHECKING:
    from pathlib import Path

START = Event(
    "start", "1", "http", "codex", "GET", "https", "api.test", 443, "/a?key=***", "allow", None, "api GET /a", ("key",)
)


def test_a_record_is_a_line() -> None:
    assert line_of(START) == (
        "1 start http of codex: GET https://api.test:443/a?key=***; allow by api GET /a; with key"
    )
    end = Event("end", "1", "http", "codex", verdict="deny", code=Code.PLACEHOLDER_LEAK, status=403, duration_ms=1.25)
    assert line_of(end).endswith("deny; placeholder_leak; status 403; 0 octets in, 0 out, 1.2 ms")


def test_nothing_in_it_is_an_order_to_a_terminal() -> None:
    line = line_of(Event("end", "1", "http", "a", path="/\x1b[2J\n", error="a\rb"))
    assert line.isprintable()
    assert "\\x1b[2J\\n" in line


@pytest.mark.parametrize("broken", [False, True])
def test_it_is_recorded_whether_it_can_be_told_or_not(tmp_path: Path, broken: bool) -> None:
    said: list[str] = []

    def tell(line: str) -> None:
        if broken:
            raise BrokenPipeError
        said.append(line)

    with Journal.open(tmp_path / "journal", session="one") as journal:
        telling = Telling(journal, tell)
        batch = telling.stage(START)
        telling.commit()
        assert batch.written
    assert said == ([] if broken else [line_of(START)])
    assert b"/a?key=***" in b"".join(file.read_bytes() for file in (tmp_path / "journal").glob("*.jsonl"))
