"""Globs over canonical paths.

``*`` stands for any characters of one segment, ``**`` for any characters at all, ``/**`` at the end also for nothing;
everything else is literal. A :class:`Glob` is exact and takes time in proportion to the path, whatever the pattern:
it walks the path once and keeps the set of positions in the pattern that are reached, as the bits of an integer.

Allow rules never let ``*`` run over an encoded slash (``%2F``, ``%5C``): a server that decodes it would see two
segments. Deny and ask rules do (``wide``): a server that does not would see one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from outward.core import ClientError, canonical_path, fold_path, path_readings
from outward.core.expressions import expression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

_STAR_RUNS: Final = expression(r"\*{2,}")
_STARS: Final = frozenset({"*", "**"})
_ITEMS: Final = expression(r"\*\*|\*|%2F|%5C|.", re.DOTALL)
_WIDE_ITEMS: Final = expression(r"\*\*|\*|.", re.DOTALL)
_UNITS: Final = expression(r"%2F|%5C|.", re.DOTALL)


@lru_cache(maxsize=4096)
def canonical_glob(text: str) -> str:
    """The pattern in the form in which paths are compared. Raises :class:`ClientError`, as for a path."""
    if not text.startswith("/"):
        raise ClientError("a path must start with a slash")
    if re.search(r"\s", text):
        raise ClientError("a space in a path must be written as %20")
    canonical = canonical_path(text.encode("utf-8").decode("latin-1")).path
    return _STAR_RUNS.sub("**", canonical)


def readings_of_glob(pattern: str) -> frozenset[str]:
    """The patterns to compare with :func:`outward.core.path_readings` of a path."""
    return frozenset(_STAR_RUNS.sub("**", reading) for reading in (pattern, *path_readings(pattern)))


def folded_glob(pattern: str) -> str:
    """The widest of them: the pattern to compare with :func:`outward.core.fold_path` of a path."""
    return _STAR_RUNS.sub("**", fold_path(pattern))


class Glob:
    """One compiled pattern."""

    def __init__(self, pattern: str, *, wide: bool = False) -> None:
        self.items: Final[Sequence[str]] = (_WIDE_ITEMS if wide else _ITEMS).findall(pattern)
        self._units: Final[Callable[[str], Iterable[str]]] = list if wide else _UNITS.findall
        self._accepting: Final = {len(self.items)}
        if pattern.endswith("/**"):
            self._accepting.add(len(self.items) - 2)
        self._final: Final = sum(1 << position for position in self._accepting)
        self._stars: Final = self._bits_of(_STARS)
        self._crossing: Final = dict.fromkeys(("/", "%2F", "%5C"), self._bits_of({"**"}))
        self._literal: Final = {item: self._bits_of({item}) for item in set(self.items) - _STARS}

    def _bits_of(self, wanted: AbstractSet[str]) -> int:
        return sum(1 << position for position, item in enumerate(self.items) if item in wanted)

    def matches(self, text: str) -> bool:
        """Whether the pattern covers ``text``, a canonical (or folded) path or a part of one."""
        # Stars never follow one another, so one step gives every position that skipping stars can reach.
        reached = 1 | (1 & self._stars) << 1
        for unit in self._units(text):
            moved = (reached & self._literal.get(unit, 0)) << 1 | reached & self._crossing.get(unit, self._stars)
            reached = moved | (moved & self._stars) << 1
            if not reached:
                return False
        return bool(reached & self._final)

    def meets(self, other: Glob) -> bool:
        """Whether some path is covered by both patterns. Exact: it walks the pairs of positions."""
        seen = {(0, 0)}
        todo = [(0, 0)]
        while todo:
            i, j = todo.pop()
            if i in self._accepting and j in other._accepting:
                return True
            for step in _steps(self, i, other, j):
                if step not in seen:
                    seen.add(step)
                    todo.append(step)
        return False

    def takes(self, position: int, unit: str) -> bool:
        """Whether the star at ``position`` may stand for ``unit``."""
        return bool(self._crossing.get(unit, self._stars) >> position & 1)


def _steps(one: Glob, i: int, two: Glob, j: int) -> Iterable[tuple[int, int]]:
    a = one.items[i] if i < len(one.items) else ""
    b = two.items[j] if j < len(two.items) else ""
    a_star, b_star = a in _STARS, b in _STARS
    if a_star:
        yield i + 1, j
        if b and not b_star and one.takes(i, b):
            yield i, j + 1
    if b_star:
        yield i, j + 1
        if a and not a_star and two.takes(j, a):
            yield i + 1, j
    if a and a == b and not a_star:
        yield i + 1, j + 1


class SegmentGlob:
    """A pattern within one segment, such as ``*.json`` or ``v*-beta``: the same answers as :class:`Glob`, sooner."""

    def __init__(self, pattern: str, *, wide: bool) -> None:
        self.head, *self._middle, self._tail = pattern.split("*")
        self._least: Final = len(pattern) - pattern.count("*")
        self._exact: Final = None if wide else Glob(pattern)

    def matches(self, segment: str) -> bool:
        """Whether the pattern covers the whole of ``segment``."""
        if len(segment) < self._least or not segment.startswith(self.head) or not segment.endswith(self._tail):
            return False
        position, end = len(self.head), len(segment) - len(self._tail)
        for piece in self._middle:
            found = segment.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        # Where each piece stands first is enough, unless an encoded slash must not be covered.
        return self._exact is None or not has_encoded_slash(segment) or self._exact.matches(segment)


def has_encoded_slash(segment: str) -> bool:
    """Whether a server that decodes early would see more than one segment."""
    return "%" in segment and ("%2F" in segment or "%5C" in segment)
