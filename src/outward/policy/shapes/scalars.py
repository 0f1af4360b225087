"""Shapes of what stands in one place: texts, words, booleans, numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from outward.core import ClientError
from outward.core.records import NamedTuple
from outward.policy.shapes.shape import Value, nearest, shown
from outward.policy.tree import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.policy.shapes.shape import Reading
    from outward.policy.tree import Node


class Text(NamedTuple):
    """A text. ``parse`` gives its meaning or raises ``ValueError`` with what is wrong.

    A ``private`` text may be a secret that was put in the wrong place, so that errors do not repeat it.
    """

    accepted: str
    pattern: str | None = None
    parse: Callable[[str], Any] = str
    private: bool = False

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """The parsed text."""
        found = "a text that is not shown" if self.private and node.kind == "text" else shown(node)
        if not isinstance(node, Scalar) or node.kind != "text":
            quotable = isinstance(node, Scalar) and node.kind != "nothing" and self._fits(node.text)
            way_out = " in quotes" if quotable else ""
            reading.problem(node, path, "this must be a text", found=found, accepted=self.accepted + way_out)
            return None
        if not self._fits(node.text):
            reading.problem(node, path, "this cannot be read", found=found, accepted=self.accepted)
            return None
        try:
            return Value(self.parse(node.text), node, path)
        except (ValueError, ClientError) as error:
            reading.problem(node, path, str(error), found=found, accepted=self.accepted)
            return None

    def _fits(self, text: str) -> bool:
        return self.pattern is None or re.fullmatch(self.pattern, text) is not None

    def schema(self) -> dict[str, Any]:
        """A string with the pattern."""
        return {"type": "string"} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


class Choice(NamedTuple):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def accepted(self) -> str:
        """The words."""
        return " | ".join(self.words)

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """The word."""
        if isinstance(node, Scalar) and node.kind == "text" and node.text in self.words:
            return Value(node.text, node, path)
        near = nearest(node.text, self.words) if isinstance(node, Scalar) else ""
        reading.problem(
            node, path, f"this is none of the words known here{near}", found=shown(node), accepted=self.accepted
        )
        return None

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.words)}


class Flag(NamedTuple):
    """``true`` or ``false``. ``only`` where just one of them means anything."""

    only: bool | None = None

    @property
    def accepted(self) -> str:
        """The words that are booleans."""
        return "true or false" if self.only is None else str(self.only).lower()

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """The boolean."""
        if isinstance(node, Scalar) and node.kind == "boolean" and self.only in {None, node.text == "true"}:
            return Value(node.text == "true", node, path)
        reading.problem(node, path, f"this must be {self.accepted}", found=shown(node), accepted=self.accepted)
        return None

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"} if self.only is None else {"const": self.only}


class Number(NamedTuple):
    """A number within bounds, both included; whole unless ``fraction``."""

    least: float
    most: float
    fraction: bool = False

    @property
    def accepted(self) -> str:
        """The bounds."""
        if self.least == self.most:
            return f"{self.least:.15g}"
        return f"a {'number' if self.fraction else 'whole number'} from {self.least:.15g} to {self.most:.15g}"

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """The number, ``int`` unless ``fraction``."""
        pattern = r"\d+(?:\.\d+)?" if self.fraction else r"\d+"
        if isinstance(node, Scalar) and node.kind == "number" and re.fullmatch(pattern, node.text):
            number = float(node.text) if self.fraction else int(node.text)
            if self.least <= number <= self.most:
                return Value(number, node, path)
        reading.problem(node, path, f"this must be {self.accepted}", found=shown(node), accepted=self.accepted)
        return None

    def schema(self) -> dict[str, Any]:
        """A number with its bounds."""
        return {"type": "number" if self.fraction else "integer", "minimum": self.least, "maximum": self.most}
