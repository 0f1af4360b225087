"""A trie of path patterns, walked segment by segment, so that 10,000 patterns cost what ten cost.

A path has one literal child at most per node; patterns within a segment are found by what stands before their star, and
``**`` is a node that stays reached. The few patterns with ``**`` inside a segment wait above their first ``**``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from outward.policy.globs import Glob, SegmentGlob, has_encoded_slash

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("any", "deep", "globs", "leaf", "literal", "odd", "rest", "special", "stays")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[T]] = {}
        self.leaf: T | None = None  # the path ends here
        self.rest: T | None = None  # `/**` at the end: here and everything below
        self.special = False  # whether anything below this line is set
        self.any: _Node[T] | None = None  # a segment `*`
        self.globs: dict[int, dict[str, list[tuple[str, SegmentGlob, _Node[T]]]]] = {}  # by what precedes the star
        self.deep: _Node[T] | None = None  # a segment `**` with more to come: one segment or more
        self.stays = False  # this is such a node: it stays reached
        self.odd: dict[str, tuple[Glob, T]] = {}  # `**` inside a segment


class PathTrie(Generic[T]):
    """Patterns to leaves. ``wide`` as for :class:`Glob`."""

    def __init__(self, *, wide: bool) -> None:
        self._root: Final[_Node[T]] = _Node()
        self._wide: Final = wide

    def leaf(self, pattern: str, new: T) -> T:
        """The leaf of ``pattern``; ``new`` if there was none."""
        node = self._root
        *segments, last = pattern.split("/")[1:]
        odd = any("**" in segment and segment != "**" for segment in (*segments, last))
        for segment in segments if last == "**" else (*segments, last):
            if odd and "**" in segment:
                node.special = True
                return node.odd.setdefault(pattern, (Glob(pattern, wide=self._wide), new))[1]
            node = self._child(node, segment)
        if last == "**":
            node.rest = node.rest if node.rest is not None else new
            return node.rest
        node.leaf = node.leaf if node.leaf is not None else new
        return node.leaf

    def _child(self, node: _Node[T], segment: str) -> _Node[T]:
        if "*" not in segment:
            return node.literal.setdefault(segment, _Node())
        node.special = True
        if segment == "**":
            if node.deep is None:
                node.deep = _Node()
                node.deep.special = node.deep.stays = True
            return node.deep
        if segment == "*":
            node.any = node.any or _Node()
            return node.any
        glob = SegmentGlob(segment, wide=self._wide)
        siblings = node.globs.setdefault(len(glob.head), {}).setdefault(glob.head, [])
        for text, _, child in siblings:
            if text == segment:
                return child
        siblings.append((segment, glob, _Node()))
        return siblings[-1][2]

    def find(self, path: str) -> list[T]:
        """The leaves of every pattern that covers ``path``, in no particular order."""
        if path[:1] != "/":
            return []
        found: list[T] = []
        reached = [self._root]
        for segment in path[1:].split("/"):
            following: list[_Node[T]] = []
            for node in reached:
                if node.rest is not None:
                    found.append(node.rest)
                child = node.literal.get(segment)
                if child is not None:
                    following.append(child)
                if node.special:
                    self._follow(node, segment, path, following, found)
            if not following:
                return found
            reached = following
        for node in reached:
            if node.rest is not None:
                found.append(node.rest)
            if node.leaf is not None:
                found.append(node.leaf)
        return found

    def _follow(self, node: _Node[T], segment: str, path: str, following: list[_Node[T]], found: list[T]) -> None:
        if node.any is not None and (self._wide or not has_encoded_slash(segment)):
            following.append(node.any)
        if node.globs:
            following.extend(self._matching(node, segment))
        # Only nodes that stay can be reached twice at one segment; a set of them keeps `/**/**/**/x` linear.
        if node.deep is not None and node.deep not in following:
            following.append(node.deep)
        if node.stays and node not in following:
            following.append(node)
        for glob, leaf in node.odd.values():
            if glob.matches(path):
                found.append(leaf)

    @staticmethod
    def _matching(node: _Node[T], segment: str) -> Iterable[_Node[T]]:
        for length, by_head in node.globs.items():
            for _, glob, child in by_head.get(segment[:length], ()):
                if glob.matches(segment):
                    yield child
