"""``{placeholder: secret, in: […]}``: swaps the placeholder where the client put it, in headers and inside Basic."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode


def decode_basic(value: str) -> str | None:
    """The ``user:password`` of an ``authorization`` value, or ``None`` if it is not Basic or not base64 (RFC 7617 §2)."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(encoded.strip().encode("latin-1"), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return None


def encode_basic(pair: str) -> str:
    """The ``authorization`` value for ``user:password``, one character per octet."""
    return "Basic " + b64encode(pair.encode("latin-1")).decode("ascii")
