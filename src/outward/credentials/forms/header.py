"""``{header, secret}`` and ``{header, value: "…{secret}…"}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Injection, Secret

_FIELD: Final = re.compile(r"\{([^{}]+)\}")
_UNSAFE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def header_text(secret: Secret) -> str:
    """The value as it may stand in a header, one character per octet.

    Raises :class:`SecretUnavailable` for control characters: a line break in a secret would forge a header.
    """
    value = secret.reveal()
    if _UNSAFE.search(value):
        raise SecretUnavailable(secret.name, "the value holds a control character and cannot go into a header")
    return value.decode("latin-1")


def render(injection: Injection, values: Mapping[str, Secret]) -> tuple[str, str]:
    """The header line as (name, value)."""
    return injection.name, _FIELD.sub(lambda field: header_text(values[field[1]]), injection.template)
