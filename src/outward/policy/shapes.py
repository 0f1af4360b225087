"""The shapes that a field of the policy file may have.

Everything about a field follows from its shape: how it is checked, what the error says, what the JSON Schema says. A shape
reads a node into a :class:`Value`, or notes a problem and gives ``None``; one problem never hides another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from outward.core import ClientError, Problem
from outward.policy.tree import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    import collections.abc as c

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


class Text(NamedTuple):
    """A text. ``parse`` gives its meaning or raises ``ValueError`` with what is wrong.

    A ``private`` text may be a secret that was put in the wrong place, so that errors do not repeat it.
    """

    accepted: str
    pattern: str | None = None
    parse: c.Callable[[str], Any] = str
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
            return f"{self.least:g}"
        return f"a {'number' if self.fraction else 'whole number'} from {self.least:g} to {self.most:g}"

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


class List(NamedTuple):
    """A list. An empty one is fine, and means nothing at all, unless ``least`` says otherwise."""

    item: Shape
    least: int = 0

    @property
    def accepted(self) -> str:
        """What its items are."""
        return f"a list of {self.item.accepted}"

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """A list of values; those that cannot be read are left out."""
        if not isinstance(node, Sequence) or len(node.items) < self.least:
            reading.problem(node, path, "this must be a list", found=shown(node), accepted=self.accepted)
            return None
        values = [self.item.read(item, f"{path}[{index}]", reading) for index, item in enumerate(node.items)]
        return Value([value for value in values if value is not None], node, path)

    def schema(self) -> dict[str, Any]:
        """An array."""
        return {"type": "array", "items": self.item.schema()} | ({"minItems": self.least} if self.least else {})


class Table(NamedTuple):
    """A mapping whose keys the user chooses."""

    key: Text
    value: Shape

    @property
    def accepted(self) -> str:
        """What its keys and values are."""
        return f"a mapping from {self.key.accepted} to {self.value.accepted}"

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """A dictionary of values."""
        if not isinstance(node, Mapping):
            reading.problem(node, path, "this must be a mapping", found=shown(node), accepted=self.accepted)
            return None
        values: dict[str, Value] = {}
        for key, inner in node.pairs:
            name = self.key.read(key._replace(quoted=True), f"{path}.{key.text}", reading)
            value = self.value.read(inner, f"{path}.{key.text}", reading)
            if name is not None and value is not None:
                values[name.data] = value
        return Value(values, node, path)

    def schema(self) -> dict[str, Any]:
        """An object with free keys."""
        return {"type": "object", "propertyNames": self.key.schema(), "additionalProperties": self.value.schema()}


class Field(NamedTuple):
    """A key of a :class:`Record`: its shape, and what it means."""

    shape: Shape
    meaning: str
    required: bool = False


class Record(NamedTuple):
    """A mapping with known keys. ``one_of``: exactly one of these must be there.

    ``later`` are keys that the language has and this version has not; they get an error of their own.
    """

    name: str
    fields: c.Mapping[str, Field]
    one_of: tuple[str, ...] = ()
    later: frozenset[str] = frozenset()

    @property
    def accepted(self) -> str:
        """Its keys."""
        return f"{self.name} with {', '.join(self.fields)}"

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """A dictionary of the values that could be read; ``None`` if one is missing without which it makes no sense."""
        value = self.read_what_is_there(node, path, reading)
        if value is None:
            return None
        needed = [name for name, known in self.fields.items() if known.required]
        chosen = [name for name in self.one_of if name in value.data]
        return value if all(name in value.data for name in needed) and len(chosen) == bool(self.one_of) else None

    def read_what_is_there(self, node: Node, path: str, reading: Reading) -> Value | None:
        """A dictionary of the values that could be read, whatever is missing; ``None`` if this is no mapping."""
        if not isinstance(node, Mapping):
            # What stands here instead may be a secret, so only its kind is told.
            reading.problem(node, path, "this must be a mapping", found=f"a {node.kind}", accepted=self.accepted)
            return None
        values: dict[str, Value] = {}
        for key, inner in node.pairs:
            inside = f"{path}.{key.text}" if path else key.text
            known = self.fields.get(key.text)
            if known is None:
                self._unknown(key, inside, reading)
                continue
            value = known.shape.read(inner, inside, reading)
            if value is not None:
                values[key.text] = value
        self._check_keys(node, path, reading)
        return Value(values, node, path)

    def _unknown(self, key: Scalar, path: str, reading: Reading) -> None:
        if key.text in self.later:
            accepted = ", ".join(self.one_of)
            reading.problem(key, path, f"{key.text!r} is not available in this version", accepted=accepted)
            return
        near = nearest(key.text, self.fields)
        reading.problem(key, path, f"unknown key{near}", found=shown(key), accepted=", ".join(self.fields))

    def _check_keys(self, node: Mapping, path: str, reading: Reading) -> None:
        given = {key.text for key, _ in node.pairs}
        for name, known in self.fields.items():
            if known.required and name not in given:
                inside = f"{path}.{name}" if path else name
                accepted = f"{name}: {known.shape.accepted}"
                reading.problem(node, inside, f"the key {name!r} is missing", accepted=accepted)
        several = [name for name in self.one_of if name in given]
        if self.one_of and len(several) != 1 and not given & self.later:
            found, accepted = " and ".join(several) or "none of them", ", ".join(self.one_of)
            reading.problem(node, path, "exactly one key of these is needed", found=found, accepted=accepted)

    def schema(self) -> dict[str, Any]:
        """An object with these keys and no others."""
        required = [name for name, known in self.fields.items() if known.required]
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: known.shape.schema() | {"description": known.meaning} for name, known in self.fields.items()
            },
            **({"required": required} if required else {}),
            **({"oneOf": [{"required": [name]} for name in self.one_of]} if self.one_of else {}),
        }


class ByKind(NamedTuple):
    """One shape for each kind of node: a rule is a text or a mapping."""

    shapes: c.Mapping[str, Shape]

    @property
    def accepted(self) -> str:
        """Any of them."""
        return ", or ".join(shape.accepted for shape in self.shapes.values())

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """What the shape for this kind of node reads."""
        shape = self.shapes.get(node.kind)
        if shape is None:
            reading.problem(node, path, "this cannot be read", found=shown(node), accepted=self.accepted)
            return None
        return shape.read(node, path, reading)

    def schema(self) -> dict[str, Any]:
        """Any of them."""
        return {"anyOf": [shape.schema() for shape in self.shapes.values()]}


class ByKey(NamedTuple):
    """A mapping whose first known key says which record it is: the forms of ``inject``."""

    name: str
    records: c.Mapping[str, Record]
    later: frozenset[str] = frozenset()

    @property
    def accepted(self) -> str:
        """The keys that it may begin with."""
        return f"{self.name} with one of {', '.join(self.records)}"

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """What the record of that key reads."""
        given = [key.text for key, _ in node.pairs] if isinstance(node, Mapping) else []
        several = [name for name in given if name in self.records or name in self.later]
        if len(several) != 1:
            found = " and ".join(several) or ("a mapping without them" if given else f"a {node.kind}")
            reading.problem(node, path, "exactly one form is needed", found=found, accepted=self.accepted)
            return None
        if several[0] in self.later:
            message = f"{several[0]!r} is not available in this version"
            reading.problem(node, path, message, accepted=self.accepted)
            return None
        return self.records[several[0]].read(node, path, reading)

    def schema(self) -> dict[str, Any]:
        """Exactly one of the records."""
        return {"oneOf": [record.schema() for record in self.records.values()]}


def nearest(word: str, known: c.Iterable[str]) -> str:
    """A question to append to an error: the known word that is most alike, if one is."""
    import difflib  # here: only for a mistake

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
