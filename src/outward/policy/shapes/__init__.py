"""The shapes that a field of the policy file may have.

Everything about a field follows from its shape: how it is checked, what the error says, what the JSON Schema says. A shape
reads a node into a :class:`Value`, or notes a problem and gives ``None``; one problem never hides another.
"""

from outward.policy.shapes.collections import ByKey, ByKind, Field, List, Record, Table
from outward.policy.shapes.scalars import Choice, Flag, Number, Text
from outward.policy.shapes.shape import Reading, Shape, Value, nearest

__all__ = [
    "ByKey",
    "ByKind",
    "Choice",
    "Field",
    "Flag",
    "List",
    "Number",
    "Reading",
    "Record",
    "Shape",
    "Table",
    "Text",
    "Value",
    "nearest",
]
