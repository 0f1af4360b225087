"""``{basic: {username, secret}}``: HTTP Basic (RFC 7617), as git and many registries want it."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from outward.credentials.forms.header import header_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Injection, Secret


def render(injection: Injection, values: Mapping[str, Secret]) -> tuple[str, str]:
    """The ``authorization`` line as (name, value)."""
    (name,) = injection.secrets
    pair = f"{injection.username}:".encode() + header_text(values[name]).encode("latin-1")
    return "authorization", "Basic " + b64encode(pair).decode("ascii")
