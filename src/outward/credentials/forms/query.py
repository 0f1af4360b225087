"""``{query: NAME, secret}``, and placeholders inside of a query: its parameters, as careless servers may read them.

What a client sends under a name that we set does not go out, however it spells the name: a server that takes the first of
two, or the last, or both, gets ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from outward.core.canonical import folded_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.core import Secret

_SEPARATOR: Final = re.compile("([&;])")
"""What ends a parameter. A semicolon does for some servers, so what follows one may be a parameter, too."""


def render(name: str, secret: Secret) -> str:
    """The parameter as it is sent: everything escaped but what never needs it (RFC 3986 §2.3)."""
    return f"{quote(name, safe='')}={quote(secret.reveal(), safe='')}"


def names(query: str) -> set[str]:
    """The folded names of its parameters."""
    return {folded_name(piece.partition("=")[0]) for piece in _SEPARATOR.split(query)[::2]}


def without(query: str, folded: frozenset[str]) -> str:
    """The query without the parameters whose folded names these are; the others as they stand."""
    pieces = _SEPARATOR.split(query)
    kept = "".join(
        piece + (pieces[index + 1] if index + 1 < len(pieces) else "")
        for index, piece in enumerate(pieces)
        if index % 2 == 0 and folded_name(piece.partition("=")[0]) not in folded
    )
    return kept.rstrip("&;")


def spellings(stand_in: str) -> re.Pattern[str]:
    """A stand-in as it may stand in a query: each of its characters as it is or escaped (RFC 3986 §2.1)."""
    return re.compile("".join(f"(?:{re.escape(c)}|%(?i:{ord(c):02x}))" for c in stand_in))


def swapped(query: str, stand_ins: Iterable[tuple[re.Pattern[str], bytes]]) -> str:
    """The query with each stand-in replaced by its value, wherever one stands; the rest is as it was."""
    for pattern, value in stand_ins:
        query = pattern.sub(quote(value, safe=""), query)
    return query
