"""What a shape is, and what it reads and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from outward.core import Problem
from outward.core.records import NamedTuple
from outward.policy.tree import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.policy.tree import Node

MAX_SHOWN: Final = 60
"""Characters of a wrong text that an error repeats."""


class Value(NamedTuple):
    """What was read, where it stands, and its path in the file (``destinations[0].allow[1]``).

    ``data`` is what the field's shape makes of it; in mappings and lists the values are themselves of this type.
    """

    data: Any
    node: Node
    path: str

    def get(self, key: str, default: Any = None) -> Any:
        """The data of a field of this mapping."""
        found = self.data.get(key)
        return default if found is None else found.data


class Reading:
    """The reading of one file: collects its problems."""

    def __init__(self, file: str) -> None:
        self.file: Final = file
        self.problems: list[Problem] = []

    def problem(self, node: Node, path: str, message: str, *, found: str = "", accepted: str = "") -> None:
        """Notes a problem at ``node``."""
        self.problems.append(
            Problem(self.file, node.start.line, node.start.column, path, message, found=found, accepted=accepted)
        )

    def in_order(self) -> list[Problem]:
        """The problems as a reader of the file meets them."""
        return sorted(self.problems, key=lambda problem: (problem.line, problem.column))


class Shape(Protocol):
    """What a field may hold."""

    @property
    def accepted(self) -> str:
        """What would be accepted, for a person."""
        ...

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """The value, or ``None`` after noting why not."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12."""
        ...


def shown(node: Node) -> str:
    """What stands there, for an error."""
    if not isinstance(node, Scalar):
        return f"a {node.kind}"
    if node.kind == "nothing":
        return "nothing"
    text = node.text if len(node.text) <= MAX_SHOWN else node.text[:MAX_SHOWN] + "…"
    return repr(text) if node.kind == "text" else text


def nearest(word: str, known: Iterable[str]) -> str:
    """A question to append to an error: the known word that is most alike, if one is."""
    import difflib  # here: only for a mistake

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
