"""YAML text as a tree of nodes that know where they stand.

The tree is built from the parser's events, not from its constructed values: a policy takes no part of YAML in which what
is read differs from what is written. There are no anchors, aliases, merges, tags, duplicate keys or further documents,
and only ``true`` and ``false`` are booleans.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from outward.core import PolicyError, Problem
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 32
_NUMBER: Final = (  # compiled where it is used: `outward run` has to start quickly
    r"[-+]?(?:0x[0-9a-fA-F]+|0o[0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\.(?:inf|Inf|INF)|\.nan)"
)
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Mark(NamedTuple):
    """A position: line and column from 1, and the offset in characters from 0."""

    line: int
    column: int
    offset: int


class Scalar(NamedTuple):
    """A text, number, boolean or nothing, as it is written; ``quoted`` or in a block it is always a text."""

    text: str
    quoted: bool
    start: Mark
    end: Mark

    @property
    def kind(self) -> str:
        """``text``, ``number``, ``boolean`` or ``nothing`` (YAML 1.2 core schema, §10.3.2)."""
        if self.quoted:
            return "text"
        if self.text in _NOTHING:
            return "nothing"
        if self.text in {"true", "false"}:
            return "boolean"
        return "number" if re.fullmatch(_NUMBER, self.text) else "text"


class Sequence(NamedTuple):
    """A list; ``flow`` if it is written in brackets."""

    items: tuple[Node, ...]
    flow: bool
    start: Mark
    end: Mark
    kind: str = "list"


class Mapping(NamedTuple):
    """A mapping; ``flow`` if it is written in braces."""

    pairs: tuple[tuple[Scalar, Node], ...]
    flow: bool
    start: Mark
    end: Mark
    kind: str = "mapping"


Node: TypeAlias = Scalar | Sequence | Mapping


def read_tree(text: str, file: str) -> Node:
    """The tree of ``text``. Raises :class:`PolicyError` with every problem; ``file`` is for messages only."""
    return _Builder(file).build(text)


class _Builder:
    def __init__(self, file: str) -> None:
        self._file: Final = file
        self._problems: list[Problem] = []

    def build(self, text: str) -> Node:
        from ruamel.yaml.error import MarkedYAMLError, YAMLError  # here: 20 ms that only those pay who read a policy

        root: Node | None = None
        try:
            events = self._without_aliases(_events(text))
            for event in events:
                if type(event).__name__ == "DocumentStartEvent":
                    if root is not None:
                        self._add(_mark(event.start_mark), "a policy is one document")
                        break
                    root = self._node(next(events), events, 0)
        except MarkedYAMLError as error:
            where = error.problem_mark or error.context_mark
            # A rule for any method begins with YAML's sign for an alias.
            star = "alias" in str(error.context)
            self._add(
                _mark(where) if where else Mark(1, 1, 0),
                f"this is not YAML: {error.problem or error.context}",
                accepted='quotes around a text that begins with a star, such as "* /**"' if star else "",
            )
        except YAMLError:
            self._add(_first_control(text), "the file holds a character that YAML does not allow")
        if text.startswith("\ufeff"):
            self._add(Mark(1, 1, 0), "the file begins with a byte order mark", accepted="plain UTF-8")
        if root is None and not self._problems:
            self._add(Mark(1, 1, 0), "the file is empty", accepted="version: 1")
        if self._problems or root is None:
            raise PolicyError(self._problems)
        return root

    def _without_aliases(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            if getattr(event, "anchor", None) is not None:
                alias = type(event).__name__ == "AliasEvent"
                sign = "*" if alias else "&"
                self._add(_mark(event.start_mark), "a policy has no anchors and aliases", f"{sign}{event.anchor}")
            tag = getattr(event, "tag", None)
            if tag is not None:
                self._add(_mark(event.start_mark), "a policy has no tags", str(tag))
            yield event

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        kind = type(event).__name__
        start = _mark(event.start_mark)
        if depth > MAX_DEPTH:
            raise PolicyError([*self._problems, Problem(self._file, start.line, start.column, "", "nested too deeply")])
        if kind == "SequenceStartEvent":
            return self._sequence(event, events, depth)
        if kind == "MappingStartEvent":
            return self._mapping(event, events, depth)
        # What an alias stands for is not looked up: the problem has been noted.
        return Scalar(getattr(event, "value", ""), bool(getattr(event, "style", None)), start, _mark(event.end_mark))

    def _sequence(self, event: Any, events: Iterator[Any], depth: int) -> Sequence:
        items: list[Node] = []
        for inner in events:
            if type(inner).__name__ == "SequenceEndEvent":
                return Sequence(tuple(items), bool(event.flow_style), _mark(event.start_mark), _mark(inner.end_mark))
            items.append(self._node(inner, events, depth + 1))
        raise AssertionError("the parser ends what it begins")

    def _mapping(self, event: Any, events: Iterator[Any], depth: int) -> Mapping:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        for inner in events:
            if type(inner).__name__ == "MappingEndEvent":
                marks = _mark(event.start_mark), _mark(inner.end_mark)
                return Mapping(tuple(pairs.values()), bool(event.flow_style), *marks)
            key = self._node(inner, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self._add(key.start, "a key must be a text", f"a {key.kind}")
            elif key.text == "<<" and not key.quoted:
                self._add(key.start, "a policy has no merge keys", "<<")
            elif key.text in pairs:
                first = pairs[key.text][0].start
                self._add(key.start, f"this key stands here twice, first in line {first.line}", key.text)
            else:
                pairs[key.text] = (key, value)
        raise AssertionError("the parser ends what it begins")

    def _add(self, mark: Mark, message: str, found: str = "", accepted: str = "") -> None:
        self._problems.append(Problem(self._file, mark.line, mark.column, "", message, found, accepted))


def _events(text: str) -> Iterator[Any]:
    """The parser's events. Raises ruamel's errors, at the latest while they are read."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        return iter(list(YAML(typ="safe").parse(text)))
    except MarkedYAMLError:
        # The fast parser is of YAML 1.1: it refuses `{connect_to: 127.0.0.1:8443}`, in which 1.2 sees no second key.
        events: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
        return events


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1, mark.index)


def _first_control(text: str) -> Mark:
    offset = next((i for i, c in enumerate(text) if not (c.isprintable() or c in "\t\r\n")), 0)
    before = text[:offset]
    return Mark(before.count("\n") + 1, offset - before.rfind("\n"), offset)
