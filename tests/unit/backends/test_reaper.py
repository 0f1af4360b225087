"""What removes containers, with an engine that writes down what it is asked."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from outward.backends.containers import reaper
from outward.backends.containers.engine import Engine
from outward.backends.containers.reaper import reaping
from tests.system.test_end import until

if TYPE_CHECKING:
    from pathlib import Path

REMOVED = "rm --force --volumes a b\n"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    program.chmod(0o755)
    return Engine(str(program), {"PATH": "/usr/bin:/bin"})


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Nothing is mounted there."""
    (tmp_path / "stage").mkdir()
    return tmp_path / "stage"


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    (tmp_path / "asked").touch()
    return tmp_path / "asked"


def test_what_ended_well_needs_no_removal(engine, asked, stage):
    with reaping(engine, ("a", "b"), stage) as ours:
        ours.also("undo")
        assert stage.exists()
    assert asked.read_text() == ""
    assert not stage.exists()


def test_what_failed_is_removed_before_anybody_is_told(engine, asked, stage):
    def fail() -> None:
        with reaping(engine, ("a", "b"), stage) as ours:
            ours.also("undo")  # whoever is not killed does it
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert asked.read_text() == REMOVED
    assert not stage.exists()


def test_when_we_are_killed_it_asks_twice_and_undoes_the_rest_once(engine, asked, stage, monkeypatch):
    """What we had asked the engine for may have come to be after the first time."""
    monkeypatch.setattr(reaper, "_LATER", 0.0)
    ready, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        with reaping(engine, ("a", "b"), stage) as ours:
            ours.also("undo", "this")
            ours.also("undo", "that\n")
            os.write(said, b"x")
            signal.pause()
    os.read(ready, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until(lambda: asked.read_text() == 2 * REMOVED + "undo this\nundo that\n\n" and not stage.exists())
    os.close(ready)
    os.close(said)
