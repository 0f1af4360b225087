"""What the kernel tells of directories."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.workspace.notices import Notice, Notices, parse

NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: not set(name) & set(b"\0/"))


def event(watch: int, mask: int, name: bytes = b"") -> bytes:
    padded = name + b"\0" * (-len(name) % 16 or (16 if name else 0))
    return struct.pack("=iIII", watch, mask, 0, len(padded)) + padded


@given(st.lists(st.tuples(st.integers(1, 1 << 20), NAMES, st.booleans())))
def test_each_name_comes_out_as_it_went_in(told):
    octets = b"".join(event(watch, 0x100 | (0x40000000 if directory else 0), name) for watch, name, directory in told)
    assert list(parse(octets)) == [Notice(watch, os.fsdecode(name), directory) for watch, name, directory in told]


def test_what_is_lost_or_gone_is_said():
    assert list(parse(event(-1, 0x4000))) == [Notice(-1, "", lost=True)]
    assert list(parse(event(7, 0x8000))) == [Notice(7, "", gone=True)]


def test_a_new_name_is_told_under_the_number_of_its_directory_wherever_that_is_moved(tmp_path):
    notices = Notices()
    first = tmp_path / "first"
    first.mkdir()
    number = notices.watch(str(first))
    assert list(notices.read()) == []
    (first / "made").touch()
    (tmp_path / "other").touch()
    first.rename(tmp_path / "second")
    (tmp_path / "other").rename(tmp_path / "second" / "moved")
    (tmp_path / "second" / "inner").mkdir()
    assert list(notices.read()) == [
        Notice(number, "made"),
        Notice(number, "moved"),
        Notice(number, "inner", directory=True),
    ]
    assert notices.watch(str(tmp_path / "second")) == number


def test_a_link_is_not_a_directory(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        Notices().watch(str(tmp_path / "link"))
