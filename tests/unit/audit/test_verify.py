"""The chain: whatever is done to a journal shows, at the record where it was done."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outward.audit.format import seal
from outward.audit.verify import verify
from tests.unit.audit.conftest import write

RECORDS = 6
DOCUMENT = Path(__file__).parents[3] / "docs" / "audit.md"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    (path,) = write(tmp_path_factory.mktemp("journal"), RECORDS)
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copy") / "s.jsonl"


def broken_at(file: Path, content: bytes) -> int | None:
    file.write_bytes(content)
    broken = verify(file).broken
    assert broken == verify(file.parent).broken
    return broken and broken.line


def test_what_was_written_passes(lines: list[bytes], file: Path) -> None:
    assert broken_at(file, b"".join(lines)) is None
    assert verify(file).records == RECORDS
    assert verify(file).heads == {"s": lines[-1][-67:-3].decode()}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_changed_octet_shows_at_its_record(lines: list[bytes], file: Path, data: st.DataObject) -> None:
    content = bytearray(b"".join(lines))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    record = b"".join(lines)[:position].count(b"\n") + 1
    assert broken_at(file, bytes(content)) == record


@given(st.integers(0, RECORDS - 2))
@settings(deadline=None)
def test_a_removed_record_shows_where_it_was(lines: list[bytes], file: Path, index: int) -> None:
    assert broken_at(file, b"".join(lines[:index] + lines[index + 1 :])) == index + 1


@given(st.integers(0, RECORDS - 1), st.integers(0, RECORDS - 1))
@settings(deadline=None)
def test_an_added_record_shows_where_it_is(lines: list[bytes], file: Path, source: int, target: int) -> None:
    content = b"".join([*lines[:target], lines[source], *lines[target:]])
    # A copy put in front of itself cannot be told from one put behind.
    assert broken_at(file, content) == (target + 2 if source == target else target + 1)


@given(st.permutations(range(RECORDS)))
@settings(deadline=None)
def test_moved_records_show_at_the_first(lines: list[bytes], file: Path, order: list[int]) -> None:
    first = next((index + 1 for index in range(RECORDS) if order[index] != index), None)
    assert broken_at(file, b"".join(lines[index] for index in order)) == first


def test_a_record_of_another_session_does_not_fit(lines: list[bytes], file: Path, tmp_path: Path) -> None:
    (other,) = write(tmp_path, RECORDS, session="other")
    theirs = other.read_bytes().splitlines(keepends=True)
    assert broken_at(file, b"".join([*lines[:3], *theirs[3:]])) == 4
    assert broken_at(file, b"".join([lines[0], *theirs[1:]])) == 2


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_killed_writer_is_no_tampering(lines: list[bytes], file: Path, data: st.DataObject) -> None:
    keep = data.draw(st.integers(0, RECORDS - 1))
    torn = lines[keep][: data.draw(st.integers(1, len(lines[keep]) - 1))]
    assert broken_at(file, b"".join(lines[:keep]) + torn) is None
    (note,) = verify(file).notes
    assert "incomplete" in note


@pytest.mark.parametrize("end", [b"x", b"{}", b'{"seq":1,"time":"', b'{"seq":7,"tame":"'])
def test_what_cannot_be_the_next_record_is_tampering(lines: list[bytes], file: Path, end: bytes) -> None:
    assert broken_at(file, b"".join(lines) + end) == RECORDS + 1


def test_only_the_newest_file_may_be_torn(tmp_path: Path) -> None:
    files = write(tmp_path, 30, file_bytes=4096)
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:-10])
    broken = verify(tmp_path).broken
    assert broken is not None
    assert broken.file == files[0]
    files[0].write_bytes(whole)
    files[-1].write_bytes(files[-1].read_bytes()[:-10])
    assert verify(tmp_path).broken is None


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_file_shows(tmp_path: Path, missing: int) -> None:
    files = write(tmp_path, 60, file_bytes=4096)
    assert len(files) > 4
    files[missing].unlink()
    broken = verify(tmp_path).broken
    assert broken is not None
    assert (broken.file, broken.line) == (files[missing + 1], 1)


def test_a_later_file_alone_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    files = write(tmp_path, 30, file_bytes=4096)
    report = verify(files[1])
    assert report.broken is None
    assert "not looked at" in report.notes[0]
    files[1].write_bytes(files[1].read_bytes().replace(b'"claude"', b'"codex!"', 1))
    assert verify(files[1]).broken is not None


@pytest.mark.parametrize("content", [b"\n", b"null\n", b"[" * 100_000 + b"\n", b"\xff\n"])
def test_any_file_has_an_answer(file: Path, content: bytes) -> None:
    assert broken_at(file, content) == 1


@pytest.mark.parametrize("seq", ['"x"', "null", "[]", "1.5", "2", "-1"])
def test_a_hash_that_is_right_does_not_make_a_record(file: Path, seq: str) -> None:
    line, _ = seal(f'{{"seq":{seq},"prev":"{"0" * 64}","session":"s"')
    assert broken_at(file, line) == 1


def test_ten_lines_of_the_documentation_agree(lines: list[bytes], file: Path) -> None:
    """Whoever does not want to trust this program can check it with the text of the specification."""
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code is not None

    def accepts(content: bytes) -> bool:
        file.write_bytes(content)
        return subprocess.run([sys.executable, "-c", code[1], file], capture_output=True).returncode == 0

    good = b"".join(lines)
    assert accepts(good)
    assert not accepts(good.replace(b'"claude"', b'"codex!"', 1))
    assert not accepts(b"".join(lines[1:]))
