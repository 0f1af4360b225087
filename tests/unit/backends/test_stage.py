"""The arithmetic of users that change places."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.backends.containers.stage import obstacle, outside, strike, swapped
from outward.core import HostError

IDS = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 2), st.integers(2**32 - 4, 2**32 - 2))


@given(IDS, IDS, IDS)
def test_two_change_places_and_everybody_else_stays(one, other, third):
    text = swapped(one, other)
    assert text == swapped(other, one)
    assert (outside(one, text), outside(other, text)) == (other, one)
    if third not in {one, other}:
        assert outside(third, text) == third
    assert len(text.splitlines()) <= 5
    assert sum(int(line.split()[2]) for line in text.splitlines()) == 2**32 - 1, "all of them, each once"


def test_who_a_containers_user_is():
    assert outside(1000, "         0    1000000      65536\n") == 1001000
    assert outside(1000, "0 70000 1000\n1000 5 1\n") == 5


@pytest.mark.parametrize("mapping", ["", "0 70000 1000\n", "1001 5 1\n"])
def test_a_user_who_is_nobody(mapping):
    with pytest.raises(HostError, match="but none to 1000"):
        outside(1000, mapping)


def test_a_kernel_that_is_too_old_is_not_asked(monkeypatch):
    for release in ("5.10.0-23-amd64", "5.18-rc1", "4.20"):
        monkeypatch.setattr(os, "uname", lambda release=release: SimpleNamespace(release=release))
        assert obstacle([], (0, 0)) == "the kernel is older than Linux 5.19"


def test_where_there_is_no_stage_none_is_struck(tmp_path):
    strike(tmp_path / "stage")
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        strike(tmp_path / "stage")
    assert (tmp_path / "stage" / "file").exists(), "what is not a stage is left alone"
