"""Placeholders: same shape as the secret, no power, and recognisable on their way out."""

from __future__ import annotations

import re
import secrets
import string
from typing import Final

_CLASSES: Final = (string.digits, string.ascii_lowercase, string.ascii_uppercase)

# What services print on their keys to say what they are: not secret, and what programs look at. Anything else of a value
# could be a word of a passphrase, so only these are kept. Longer ones come before those that they begin with.
_PREFIX: Final = re.compile(
    r"sk-ant-[a-z]{3}[0-9]{2}-|sk-ant-|sk-proj-|sk-svcacct-|sk-or-v1-|sk-|"  # language models
    r"github_pat_|gh[opsur]_|glpat-|gldt-|"  # code forges
    r"AKIA|ASIA|AIza|ya29\.|dop_v1_|"  # clouds
    r"xox[abeoprs]-|xapp-|npm_|pypi-|hf_|shpat_|sq0[a-z]{3}-|[rs]k_(?:live|test)_"  # services
)

MIN_RANDOM: Final = 16
"""Random characters that a placeholder holds at least, so that it cannot appear by chance."""


def make_placeholder(value: str) -> str:
    """A random text of the same shape as ``value``: same known prefix (``sk-ant-api03-``, ``ghp_``), length and alphabet.

    Programs that check the form of their key accept it. Where the value is too short to hold enough randomness the
    placeholder is longer than the value.
    """
    match = _PREFIX.match(value)
    kept = match.group() if match else ""
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
