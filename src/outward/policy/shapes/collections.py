"""Shapes of lists and mappings, and of what may be one thing or another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outward.core.records import NamedTuple
from outward.policy.shapes.shape import Value, nearest, shown
from outward.policy.tree import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    import collections.abc as c

    from outward.policy.shapes.scalars import Text
    from outward.policy.shapes.shape import Reading, Shape
    from outward.policy.tree import Node


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
    """A mapping with known keys. ``one_of``: exactly one of these must be there."""

    name: str
    fields: c.Mapping[str, Field]
    one_of: tuple[str, ...] = ()

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
        if self.one_of and len(several) != 1:
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

    @property
    def accepted(self) -> str:
        """The keys that it may begin with."""
        return f"{self.name} with one of {', '.join(self.records)}"

    def read(self, node: Node, path: str, reading: Reading) -> Value | None:
        """What the record of that key reads."""
        given = [key.text for key, _ in node.pairs] if isinstance(node, Mapping) else []
        several = [name for name in given if name in self.records]
        if len(several) != 1:
            found = " and ".join(several) or ("a mapping without them" if given else f"a {node.kind}")
            reading.problem(node, path, "exactly one form is needed", found=found, accepted=self.accepted)
            return None
        return self.records[several[0]].read(node, path, reading)

    def schema(self) -> dict[str, Any]:
        """Exactly one of the records."""
        return {"oneOf": [record.schema() for record in self.records.values()]}
