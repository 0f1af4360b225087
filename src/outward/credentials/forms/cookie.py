"""``{cookie: NAME, secret}``: one cookie, beside those of the client where they may pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable
from outward.core.canonical import folded_name

if TYPE_CHECKING:
    from outward.core import Secret

_VALUE: Final = re.compile(rb"[!-+\--:<-~]*")
"""Visible ASCII but for what ends a cookie: the semicolon, and the comma for servers of old (RFC 6265 §4.1.1, §4.2.2)."""


def render(name: str, secret: Secret) -> str:
    """The cookie as it stands in the header. Raises :class:`SecretUnavailable` for a value that would end it."""
    value = secret.reveal()
    if not _VALUE.fullmatch(value):
        raise SecretUnavailable(secret.name, "the value holds a character that cannot stand in a cookie")
    return f"{name}={value.decode('ascii')}"


def without(header: str, folded: frozenset[str]) -> str:
    """The client's cookies but for those whose folded names these are; servers of old end one with a comma, too."""
    kept = (
        pair
        for pair in header.split(";")
        if not any(folded_name(part.strip().partition("=")[0]) in folded for part in pair.split(","))
    )
    return ";".join(kept).strip(" ;")
