"""The part of what a source gave that a secret is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE: Final = ""
"""The name of the part that a secret is where the policy names none, among several that a source gives."""


def json_object(text: bytes) -> dict[str, Any] | None:
    """The JSON object that ``text`` is; ``None`` if it is anything else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def fields_of(document: Mapping[str, Any]) -> dict[str, bytes]:
    """The fields of a JSON object: texts as they are, anything else as JSON."""
    return {
        name: (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()
        for name, value in document.items()
        if value is not None
    }


def part_of(name: str, part: str | None, value: bytes | Mapping[str, bytes]) -> bytes:
    """The part of ``value`` that the secret ``name`` is. Never the whole where a part was asked for, and never empty.

    A value that is the text of a JSON object has its fields as parts: so services that keep nothing but texts are used for
    several values that belong together. Raises :class:`SecretUnavailable`.
    """
    if isinstance(value, bytes):
        found = value if part is None else _named(name, part, _parsed(name, part, value))
    else:
        found = _named(name, WHOLE if part is None else part, value)
    if not found:
        raise SecretUnavailable(name, "the value is empty")
    return found


def _parsed(name: str, part: str, value: bytes) -> Mapping[str, bytes]:
    document = json_object(value)
    if document is None:
        raise SecretUnavailable(name, f"the value is no JSON object, so it has no field {part!r}")
    try:
        return fields_of(document)
    except UnicodeEncodeError:
        raise SecretUnavailable(name, "a field of the value holds half a character") from None


def _named(name: str, part: str, values: Mapping[str, bytes]) -> bytes:
    if part in values:
        return values[part]
    hint = f"There are: {', '.join(sorted(filter(None, values))) or 'none'}."
    if part == WHOLE:
        raise SecretUnavailable(name, "the value has several fields, and none of them is named", hint=hint)
    raise SecretUnavailable(name, f"there is no field {part!r}", hint=hint)
