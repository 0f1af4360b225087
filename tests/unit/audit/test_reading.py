"""Reading: all sessions by time, as they grow, start and end put together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from outward.audit import Journal, worker_session
from outward.audit.format import belongs
from outward.audit.reading import Reader, Record, Selection, joined
from tests.support.changed import changed
from tests.unit.audit.conftest import END, START, write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def test_sessions_are_merged_by_time(directory: Path) -> None:
    with Journal.open(directory, session="a") as a, Journal.open(directory, session="b") as b:
        for number in range(6):
            (a, b)[number % 2].append(changed(START, id=str(number)))
    assert [record.fields["id"] for record in Reader(directory).read()] == list("012345")
    assert [record.fields["id"] for record in Reader(directory, "b").read()] == list("135")


def test_the_workers_of_a_session_are_read_as_one(directory: Path) -> None:
    names = ["serve-a", worker_session("serve-a", 1), worker_session("serve-a", 12), worker_session("serve-ab", 1)]
    with ExitStack() as stack:
        journals = [stack.enter_context(Journal.open(directory, session=name)) for name in names]
        for number in range(8):
            journals[number % 4].append(changed(START, id=str(number)))
    assert [record.fields["id"] for record in Reader(directory, "serve-a").read()] == list("012456")
    assert [record.fields["id"] for record in Reader(directory, "serve-a-w12").read()] == list("26")
    assert [record.fields["id"] for record in Reader(directory, "serve").read()] == []


@pytest.mark.parametrize("session", ["serve-a-w0", "serve-a-w", "serve-a-w1-w2", "serve-a-w1x", "xserve-a-w1", "-w1"])
def test_what_is_no_worker_of_a_session_does_not_belong_to_it(session: str) -> None:
    assert belongs("serve-a-w1", "serve-a")
    assert not belongs(session, "serve-a")


def ids(records: Iterable[Record]) -> str:
    return "".join(record.fields["id"] for record in records)


def test_what_is_young_waits_for_what_comes_before_it(directory: Path) -> None:
    """Else the order would depend on which file is looked at first."""
    with Journal.open(directory, session="a") as a, Journal.open(directory, session="b") as b:
        for number in range(6):
            (a, b)[number % 2].append(changed(START, id=str(number)))
    times = [record.time for record in Reader(directory).read()]
    reader = Reader(directory)
    assert ids(reader.read((times[2], "9"))) == "012"
    assert ids(reader.read((times[2], "9"))) == "", "they wait as long as they are young"
    assert ids(reader.read((times[4], "9"))) == "34"
    assert ids(reader.read()) == "5"
    assert ids(reader.read()) == "", "each is read once"


def test_a_record_of_a_clock_that_was_set_back_does_not_wait(directory: Path) -> None:
    write(directory, 3)
    times = [record.time for record in Reader(directory).read()]
    reader = Reader(directory)
    assert ids(reader.read(("2001", times[1]))) == "", "the order within a session stays"
    assert ids(reader.read(("2001", "2002"))) == "r0r1r2"


def test_files_of_a_session_are_read_in_order(directory: Path) -> None:
    assert len(write(directory, 300, file_bytes=4096)) > 11  # more than ten: names do not sort as numbers do
    assert [record.fields["seq"] for record in Reader(directory).read()] == list(range(1, 301))


def test_reading_goes_on_where_it_ended(directory: Path) -> None:
    reader = Reader(directory)
    assert list(reader.read()) == []  # not even the directory is there
    with Journal.open(directory, session="s", file_bytes=2000) as journal:
        for number in range(20):
            journal.append(changed(START, id=str(number)))
            assert [record.fields["id"] for record in reader.read()] == [str(number)]
            assert list(reader.read()) == []


def test_a_line_that_is_being_written_waits(directory: Path) -> None:
    (path,) = write(directory, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    reader = Reader(directory)
    assert [record.fields["seq"] for record in reader.read()] == [1]
    path.write_bytes(whole)
    assert [record.fields["seq"] for record in reader.read()] == [2]
    assert reader.unreadable == 0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"{}",
        b"\xff",
        b'{"time":"x","phase":"end"}',
        b'{"time":1,"phase":"end"}',
        b'{"time":"2026-11-21"}',
    ],
)
def test_what_is_no_record_is_counted_and_passed_over(directory: Path, line: bytes) -> None:
    (path,) = write(directory, 1)
    path.write_bytes(line + b"\n" + path.read_bytes())
    reader = Reader(directory)
    assert [record.fields["seq"] for record in reader.read()] == [1]
    assert reader.unreadable == 1


def test_an_end_gets_the_fields_of_its_start(directory: Path) -> None:
    with Journal.open(directory, session="s") as journal:
        journal.append(START)
        journal.append(changed(START, id="r2"))
        journal.append(changed(END, host=None, path=None))
    started: dict[tuple[str, str], Record] = {}
    ends = [record.fields for record in joined(Reader(directory).read(), started) if record.fields["phase"] == "end"]
    assert [(end["host"], end["path"], end["status"]) for end in ends] == [("api.example.com", "/v1/messages", 200)]
    assert [identity for _, identity in started] == ["r2"]


FIELDS = {"time": "2026-11-21T10:00:00.000000Z", "host": "api.example.com", "verdict": "deny"}


@pytest.mark.parametrize(
    ("selection", "covers"),
    [
        (Selection(), True),
        (Selection(since="2026-11-21T10:00:00.000000Z"), True),
        (Selection(since="2026-11-21T10:00:00.000001Z"), False),
        (Selection(host="api.example.com"), True),
        (Selection(host="*.example.com"), True),
        (Selection(host="example.com"), False),
        (Selection(denied=True), True),
    ],
)
def test_selection(selection: Selection, covers: bool) -> None:
    assert selection.covers(FIELDS) is covers


def test_allowed_requests_are_not_denied_ones() -> None:
    assert not Selection(denied=True).covers(FIELDS | {"verdict": "allow"})
    assert not Selection(host="api.example.com").covers({"time": FIELDS["time"]})
