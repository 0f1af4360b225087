"""What the journal knows of each secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.audit import Journal
from outward.audit.reading import Reader
from outward.audit.usage import usage
from tests.support.changed import changed
from tests.unit.audit.conftest import END, START

if TYPE_CHECKING:
    from pathlib import Path

LEAK = changed(END, verdict="deny", code="placeholder_leak", host="evil.example", secrets=("github",), status=403)


def test_uses_and_leaks_are_counted_by_secret(directory: Path) -> None:
    with Journal.open(directory, session="s") as journal:
        for event in (
            START,
            END,
            changed(START, id="r2", secrets=("anthropic", "github")),
            changed(LEAK, id="r3"),
            changed(END, id="r4", verdict="deny", code="path_not_allowed", secrets=()),
        ):
            journal.append(event)
    found = usage(Reader(directory).read())
    assert found.keys() == {"anthropic", "github"}
    assert found["anthropic"].destinations == {"api.example.com": 2}, "a request that goes on is a use already"
    assert found["anthropic"].leaks == []
    assert found["github"].destinations == {"api.example.com": 1}, "a leak is not a use"
    assert found["anthropic"].last == found["github"].last
    (leak,) = found["github"].leaks
    assert (leak.agent, leak.host) == ("claude", "evil.example")


def test_nothing_is_known_of_an_empty_journal(directory: Path) -> None:
    assert usage(Reader(directory).read()) == {}
