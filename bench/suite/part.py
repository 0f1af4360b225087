"""What a part of the benchmark is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Settings:
    """``seconds`` is the length of a trial; ``only`` are the contenders that take part, by the first word of their name."""

    rounds: int
    seconds: float
    only: frozenset[str]

    def wants(self, name: str) -> bool:
        """Whether the contender of that name takes part."""
        return name.split(maxsplit=1)[0].rstrip(",").lower() in self.only


@dataclass(frozen=True, slots=True)
class Findings:
    """``text`` is for the document, ``raw`` for the file of all results, ``pictures`` are SVG by their file name."""

    text: str
    raw: list[dict[str, Any]]
    pictures: dict[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """``shows`` is one line for the help. ``measure`` does it."""

    name: str
    shows: str
    measure: Callable[[Settings], Findings]


MAX_ROUNDS: Final = 3
"""Of the parts whose figures hardly vary: all of it is to take less than a quarter of an hour."""


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def in_turns(names: list[str], rounds: int) -> list[tuple[int, str]]:
    """Each name in each round, every second round in the opposite order: a machine that slows down slows all of them."""
    return [(number, name) for number in range(rounds) for name in names[:: -1 if number % 2 else 1]]
