"""What is left of sessions that nobody ended, with an engine that writes down what it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outward.backends.containers.engine import Engine
from outward.backends.containers.remains import Remains

if TYPE_CHECKING:
    from pathlib import Path

    Asked = list[str]

LOOK = "ps --all --quiet --filter label=outward.session={}"


class Keeper:
    """An engine that has one container for each session, until it is asked to remove it."""

    def __init__(self, place: Path) -> None:
        self.log = place / "asked"
        self.log.touch()
        self.obedient = place / "obedient"
        self.obedient.touch()
        program = place / "podman"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{self.log}\ncase $1 in ps) echo c1;; rm) test -e {self.obedient};; esac\n'
        )
        program.chmod(0o755)
        self.engine = self.with_environment()

    def with_environment(self, **environment: str) -> Engine:
        return Engine(str(self.log.with_name("podman")), {"PATH": "/usr/bin:/bin", **environment})

    def remains(self, **environment: str) -> Remains:
        """As the next start finds them."""
        place = self.log.parent
        return Remains(self.with_environment(**environment), place / "sessions", place / "stages")

    def asked(self) -> Asked:
        said = self.log.read_text().splitlines()
        self.log.write_text("")
        return said


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def die(engine: Engine, directory: Path, session: str) -> None:
    """A session that ends without a word; the lock goes with its descriptor."""

    def fail() -> None:
        with Remains(engine, directory, directory.with_name("stages")).noted(session):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()


def test_what_a_dead_session_left_is_removed_once(keeper, tmp_path):
    die(keeper.engine, tmp_path / "sessions", "S1")
    (tmp_path / "stages" / "S1").mkdir(parents=True)
    remains = keeper.remains()
    remains.sweep()
    assert not (tmp_path / "stages" / "S1").exists()
    assert keeper.asked() == [LOOK.format("S1"), "rm --force --volumes --time=0 c1"]
    remains.sweep()
    assert keeper.asked() == []


def test_what_lives_is_left_alone(keeper, tmp_path):
    with keeper.remains().noted("S1"):
        keeper.remains().sweep()
    assert keeper.asked() == []


def test_after_an_orderly_end_nobody_is_asked(keeper, tmp_path):
    remains = keeper.remains()
    remains.sweep()
    with remains.noted("S1"):
        pass
    remains.sweep()
    assert keeper.asked() == []


def test_what_could_not_be_removed_is_left_for_the_next_time(keeper, tmp_path):
    die(keeper.engine, tmp_path / "sessions", "S1")
    keeper.obedient.unlink()
    keeper.remains().sweep()
    keeper.obedient.touch()
    keeper.asked()
    keeper.remains().sweep()
    assert keeper.asked()[-1].startswith("rm ")


@pytest.mark.parametrize(
    ("variables", "same"), [({"TERM": "dumb"}, True), ({"DOCKER_HOST": "unix:///elsewhere"}, False)]
)
def test_another_daemon_is_not_asked(keeper, tmp_path, variables, same):
    die(keeper.engine, tmp_path / "sessions", "S1")
    keeper.remains(**variables).sweep()
    assert bool(keeper.asked()) is same
