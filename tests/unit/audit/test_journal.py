"""Writing: whole records or none, one writer a session, bounded disk."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import stat
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from outward.audit import Journal
from outward.audit.verify import verify
from outward.core import HostError, JournalUnavailable
from tests.unit.audit.conftest import END, START, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def records(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The disk is full after ``size`` octets, as far as a file of ours is concerned: a real short write, then errors."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_record_is_on_disk_when_append_returns(directory: Path) -> None:
    with Journal.open(directory, session="s") as journal:
        journal.append(START)
        first = records(directory / "s.jsonl")
        journal.append(END)
        second = records(directory / "s.jsonl")
    assert [one["phase"] for one in first] == ["start"]
    assert [one["phase"] for one in second] == ["start", "end"]
    assert second[1]["prev"] == second[0]["hash"]
    assert [one["seq"] for one in second] == [1, 2]


def test_what_is_staged_is_written_at_once(directory: Path) -> None:
    with Journal.open(directory, session="s") as journal:
        journal.commit()  # nothing to write
        first, second = journal.stage(START), journal.stage(END)
        assert records(directory / "s.jsonl") == []
        written = [first.written]
        journal.commit()
        assert first is second
        assert [*written, first.written] == [False, True]
        journal.stage(START)  # closing writes it
    assert verify(directory).broken is None
    assert [one["seq"] for one in records(directory / "s.jsonl")] == [1, 2, 3]


def test_of_a_batch_that_does_not_fit_nothing_is_written(directory: Path) -> None:
    with Journal.open(directory, session="s") as journal:
        journal.append(START)
        size = (directory / "s.jsonl").stat().st_size
        batch = journal.stage(START)
        journal.stage(END)
        with no_file_larger_than(2 * size + 10), pytest.raises(JournalUnavailable):
            journal.commit()
        assert not batch.written
        assert batch.error is not None
        assert (directory / "s.jsonl").stat().st_size == size
        assert journal.stage(END) is not batch
        journal.commit()
        assert not batch.written
    assert verify(directory).broken is None
    assert [one["seq"] for one in records(directory / "s.jsonl")] == [1, 2]


def test_nobody_else_can_read_it(directory: Path) -> None:
    before = os.umask(0)
    try:
        write(directory, 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "s.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("room", [1, 100, 0])
def test_a_full_disk_refuses_and_leaves_whole_records(directory: Path, room: int) -> None:
    with Journal.open(directory, session="s") as journal:
        journal.append(START)
        size = (directory / "s.jsonl").stat().st_size
        with no_file_larger_than(size + room):
            for _ in range(3):
                with pytest.raises(JournalUnavailable) as caught:
                    journal.append(END)
                assert caught.value.hint
                assert (directory / "s.jsonl").stat().st_size == size
        journal.append(END)  # there is room again
    assert [one["phase"] for one in records(directory / "s.jsonl")] == ["start", "end"]
    assert verify(directory).broken is None


def test_a_write_that_cannot_be_undone_stops_the_journal(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    with Journal.open(directory, session="s") as journal:
        journal.append(START)
        size = (directory / "s.jsonl").stat().st_size
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", fail)
            with no_file_larger_than(size + 10), pytest.raises(JournalUnavailable):
                journal.append(END)
            with pytest.raises(JournalUnavailable, match="Input/output"):
                journal.append(END)  # there would be room, but the torn record is still in the way
            assert verify(directory).notes
        journal.append(END)
    report = verify(directory)
    assert (report.broken, report.records, report.notes) == (None, 2, ())


@pytest.mark.parametrize("change", ["remove", "truncate", "grow"])
def test_a_file_that_somebody_else_changed_stops_the_journal(directory: Path, change: str) -> None:
    path = directory / "s.jsonl"
    with Journal.open(directory, session="s") as journal:
        journal.append(START)
        if change == "remove":
            path.unlink()
        elif change == "truncate":
            os.truncate(path, 0)
        else:
            with path.open("ab") as file:
                file.write(b"x")
        journal._second = 0  # it looks once a second
        with pytest.raises(JournalUnavailable, match="somebody else"):
            journal.append(END)


def test_a_closed_journal_writes_nothing(directory: Path) -> None:
    with Journal.open(directory, session="s") as journal:
        journal.append(START)
    with pytest.raises(JournalUnavailable):
        journal.append(END)
    journal.close()
    assert len(records(directory / "s.jsonl")) == 1


def test_a_session_goes_on_where_it_ended(directory: Path) -> None:
    write(directory, 3)
    write(directory, 2)
    report = verify(directory)
    assert (report.records, report.broken) == (5, None)


def test_what_a_killed_writer_left_is_removed_and_noted(directory: Path) -> None:
    (path,) = write(directory, 3)
    torn = path.read_bytes().splitlines(keepends=True)[-1][:100]
    with path.open("ab") as file:
        file.write(torn)
    write(directory, 1)
    assert [(one["kind"], one.get("bytes_in")) for one in records(path)[3:]] == [
        ("journal.repaired", 100),
        ("http", None),
    ]
    assert verify(directory).broken is None


@pytest.mark.parametrize("content", [b"{}\n", b'{"seq":1}\n{"seq":2}\n', b"\n", b"x" * (2 << 20)])
def test_a_session_that_ends_in_a_broken_record_is_not_continued(directory: Path, content: bytes) -> None:
    (path,) = write(directory, 3)
    with path.open("ab") as file:
        file.write(content)
    with pytest.raises(HostError, match="record"):
        Journal.open(directory, session="s")
    assert path.read_bytes().endswith(content)


def test_one_writer_a_session(directory: Path) -> None:
    with Journal.open(directory, session="s"):
        with pytest.raises(HostError, match="another process"):
            Journal.open(directory, session="s")
        Journal.open(directory, session="other").close()
    Journal.open(directory, session="s").close()


@pytest.mark.parametrize("session", ["", "a/b", "..", "a.1", "a b", "-a", "a" * 101, "ä"])
def test_a_session_name_cannot_lead_elsewhere(directory: Path, session: str) -> None:
    with pytest.raises(HostError, match="session"):
        Journal.open(directory, session=session)


def test_what_others_can_use_is_refused(directory: Path, tmp_path: Path) -> None:
    (path,) = write(directory, 1)
    path.chmod(0o640)
    with pytest.raises(HostError, match="others"):
        Journal.open(directory, session="s")
    path.chmod(0o600)
    os.link(path, tmp_path / "second-name")
    with pytest.raises(HostError, match="alone"):
        Journal.open(directory, session="s")
    (tmp_path / "second-name").unlink()
    (directory / "t.jsonl").symlink_to(path)
    with pytest.raises(HostError):
        Journal.open(directory, session="t")
    os.mkfifo(directory / "u.jsonl", 0o600)
    with pytest.raises(HostError):
        Journal.open(directory, session="u")
    directory.chmod(0o770)
    with pytest.raises(HostError, match="others"):
        Journal.open(directory, session="s")


def test_the_chain_runs_through_all_files(directory: Path) -> None:
    files = write(directory, 40, file_bytes=4096)
    assert [path.name for path in files[:3]] == ["s.jsonl", "s.1.jsonl", "s.2.jsonl"]
    assert all(path.stat().st_size < 4096 + 1024 for path in files)
    assert [one["seq"] for one in records(*files)] == list(range(1, 41))
    report = verify(directory)
    assert (report.files, report.records, report.broken, report.notes) == (len(files), 40, None, ())


def test_a_writer_killed_between_two_files_loses_nothing(directory: Path) -> None:
    files = write(directory, 20, file_bytes=4096)
    (directory / f"s.{len(files)}.jsonl").touch(mode=0o600)
    write(directory, 1)
    report = verify(directory)
    assert (report.records, report.broken) == (21, None)


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_the_longest_finished_session_goes_first(directory: Path) -> None:
    for age, session in enumerate(["new", "middle", "old"]):
        (path,) = write(directory, 30, session=session)
        os.utime(path, (1e9 - age, 1e9 - age))
    one = size(directory) // 3
    with Journal.open(directory, session="s", limit_bytes=one * 5 // 2, file_bytes=one // 4) as journal:
        assert (directory / "old.jsonl").exists()  # as long as nothing is written
        journal.append(START)
    assert {path.name for path in directory.iterdir()} == {"new.jsonl", "middle.jsonl", "s.jsonl"}
    note, record = records(directory / "s.jsonl")
    assert (note["kind"], note["path"]) == ("journal.pruned", "old.jsonl")
    assert record["kind"] == START.kind
    assert verify(directory).broken is None


def test_a_session_that_is_being_written_stays(directory: Path) -> None:
    def other(session: str) -> None:
        with Journal.open(directory, session=session, limit_bytes=2000, file_bytes=1000) as journal:
            journal.append(START)

    with Journal.open(directory, session="running") as running:
        for _ in range(30):
            running.append(START)
        other("s")
        assert (directory / "running.jsonl").exists()
    other("s2")
    assert not (directory / "running.jsonl").exists()


def refused(directory: Path) -> NoReturn:
    raise HostError(f"{directory}: not today")


def test_without_room_nothing_is_written_until_there_is(directory: Path) -> None:
    write(directory, 30, session="old")
    with Journal.open(directory, session="s", limit_bytes=2000, file_bytes=1000) as journal:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("outward.audit.journal.exclusive", refused)
            for _ in range(2):
                with pytest.raises(JournalUnavailable, match="not today"):
                    journal.append(START)
        assert records(directory / "s.jsonl") == []
        journal.append(START)
    assert [record["kind"] for record in records(directory / "s.jsonl")] == ["journal.pruned", START.kind]
    assert verify(directory).broken is None


def test_a_damaged_file_that_would_have_to_go_stops_the_journal(directory: Path) -> None:
    def fill(journal: Journal) -> None:
        for _ in range(20):
            journal.append(START)

    with Journal.open(directory, session="s", limit_bytes=60_000, file_bytes=2_000) as journal:
        fill(journal)
        (directory / "s.jsonl").write_bytes(b"x\n" * 50_000)
        with pytest.raises(JournalUnavailable, match="record"):
            fill(journal)
    assert (directory / "s.jsonl").exists()


def test_a_session_that_never_ends_stays_within_its_bound(directory: Path) -> None:
    limit = 40_000
    with Journal.open(directory, session="s", limit_bytes=limit, file_bytes=8_000) as journal:
        for _ in range(500):
            journal.append(START)
            assert size(directory) <= limit
    report = verify(directory)
    assert report.broken is None
    assert "removed" in report.notes[0]
    assert 50 < report.records < 500
