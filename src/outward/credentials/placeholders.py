"""Placeholders: same shape as the secret, no power, and recognisable on their way out."""

from __future__ import annotations

import re
import secrets
import string
from typing import Final

_CLASSES: Final = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_PREFIX: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9]{0,11}[-_]){1,4}")
MIN_RANDOM: Final = 16
"""Random characters that a placeholder holds at least, so that it cannot appear by chance."""


def make_placeholder(value: str) -> str:
    """A random text of the same shape as ``value``: same prefix (``sk-ant-api03-``, ``ghp_``), length and alphabet.

    Programs that check the form of their key accept it. Where the value is too short to hold enough randomness the
    placeholder is longer than the value. The prefix is the kind of the key and not secret; if keeping it would leave
    less than :data:`MIN_RANDOM` characters, none of it is kept.
    """
    match = _PREFIX.match(value)
    kept = match.group() if match else ""
    if len(value) - len(kept) < MIN_RANDOM:
        kept = ""
    body = value[len(kept) :]
    text = kept + "".join(map(_like, body))
    missing = MIN_RANDOM - sum(character.isalnum() for character in text[len(kept) :])
    if missing > 0:
        text += "".join(secrets.choice(string.ascii_lowercase) for _ in range(missing))
    return text


def _like(character: str) -> str:
    for alphabet in _CLASSES:
        if character in alphabet:
            return secrets.choice(alphabet)
    # Punctuation keeps the shape (dots of a JWT, dashes of a UUID); anything else becomes a harmless letter.
    return character if character in "-_.~+/=" else secrets.choice(string.ascii_lowercase)
