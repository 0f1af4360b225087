"""As much of JSON Schema 2020-12 as the policy's schema uses; any other keyword is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
ANNOTATIONS = {"$schema", "title", "description"}


def valid(schema: dict[str, Any], value: Any) -> bool:
    return all(CHECKS[keyword](schema, value) for keyword in schema if keyword not in ANNOTATIONS)


def _type(schema: dict[str, Any], value: Any) -> bool:
    wanted = TYPES[schema["type"]]
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _additional(schema: dict[str, Any], value: Any) -> bool:
    others = (
        [value[name] for name in value if name not in schema.get("properties", {})] if isinstance(value, dict) else []
    )
    allowed = schema["additionalProperties"]
    return not others if allowed is False else all(valid(allowed, other) for other in others)


CHECKS: dict[str, Callable[[dict[str, Any], Any], bool]] = {
    "type": _type,
    "const": lambda schema, value: value == schema["const"] and type(value) is type(schema["const"]),
    "enum": lambda schema, value: value in schema["enum"],
    "pattern": lambda schema, value: not isinstance(value, str) or re.search(schema["pattern"], value) is not None,
    "minimum": lambda schema, value: not isinstance(value, int | float) or value >= schema["minimum"],
    "maximum": lambda schema, value: not isinstance(value, int | float) or value <= schema["maximum"],
    "minItems": lambda schema, value: not isinstance(value, list) or len(value) >= schema["minItems"],
    "items": lambda schema, value: not isinstance(value, list) or all(valid(schema["items"], item) for item in value),
    "properties": lambda schema, value: (
        not isinstance(value, dict)
        or all(valid(inner, value[name]) for name, inner in schema["properties"].items() if name in value)
    ),
    "additionalProperties": _additional,
    "propertyNames": lambda schema, value: (
        not isinstance(value, dict) or all(valid(schema["propertyNames"], name) for name in value)
    ),
    "required": lambda schema, value: not isinstance(value, dict) or all(name in value for name in schema["required"]),
    "oneOf": lambda schema, value: sum(valid(inner, value) for inner in schema["oneOf"]) == 1,
    "anyOf": lambda schema, value: any(valid(inner, value) for inner in schema["anyOf"]),
}
