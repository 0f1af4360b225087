"""A child that works beside: its outcome, or none, and then nothing of it is left."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

import pytest

from outward import kernel
from outward.workspace.beside import beside


def held() -> tuple[list[int], int]:
    """This process's children, and how many descriptors it has."""
    return kernel.children(os.getpid()), len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = held()
    yield
    assert held() == before


def test_it_gives_what_the_child_found():
    with beside(lambda: str(os.getpid()).encode() + bytes(1 << 20)) as outcome:
        content = outcome()
    assert content is not None
    assert int(content.rstrip(b"\0")) != os.getpid()


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0, lambda: os._exit(3)])
def test_there_is_none_of_a_child_that_did_not_come_to_its_end(end):
    def work() -> bytes:
        end()
        return b"never"

    with beside(work) as outcome:
        assert outcome() is None


def test_nor_without_a_process(monkeypatch):
    def none() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", none)
    with beside(lambda: b"never") as outcome:
        assert outcome() is None


def test_nor_without_descriptors(monkeypatch):
    def none() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pipe", none)
    with beside(lambda: b"never") as outcome:
        assert outcome() is None


def test_a_child_that_nobody_waits_for_is_ended():
    def work() -> bytes:
        time.sleep(60)
        return b"never"

    with pytest.raises(KeyboardInterrupt), beside(work):
        raise KeyboardInterrupt
