from __future__ import annotations

import pytest

from outward.core import HostError
from outward.isolation.answers import Answer, identity


@pytest.mark.parametrize("text", ["yes", "", "two\nlines"])
def test_an_answer_is_kept(tmp_path, text):
    answer = Answer(tmp_path / "file", "this")
    assert answer.kept() is None
    answer.keep(text)
    assert answer.kept() == Answer(tmp_path / "file", "this").kept() == text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_about_something_else_it_is_none(tmp_path):
    Answer(tmp_path / "file", "this").keep("yes")
    assert Answer(tmp_path / "file", "that").kept() is None


@pytest.mark.parametrize("spoilt", [b"", b"this", b"\xff\n", b"\nyes"])
def test_what_cannot_be_read_is_none(tmp_path, spoilt):
    (tmp_path / "file").write_bytes(spoilt)
    assert Answer(tmp_path / "file", "this").kept() is None


def test_what_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(HostError, match="cannot write"):
        Answer(tmp_path / "missing" / "file", "this").keep("yes")


def test_another_program_is_another_one(tmp_path):
    program = tmp_path / "program"
    program.write_text("one")
    before = identity(str(program))
    assert identity(str(program)) == before
    (tmp_path / "draft").write_text("two")
    (tmp_path / "draft").replace(program)
    assert identity(str(program)) != before
