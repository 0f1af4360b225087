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

_JWT: Final = re.compile(r"(ey[A-Za-z0-9_-]{6,}\.ey[A-Za-z0-9_-]{6,}\.)([A-Za-z0-9_-]*)")
"""Header, claims, signature: an encoded JSON object begins so."""
_BASE64URL: Final = string.ascii_letters + string.digits + "-_"

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


def make_token(value: str, known: str | None = None) -> str:
    """A placeholder for a token that a service has issued; the one that is ``known`` where it will do.

    Clients read the claims of a JWT (RFC 7519): whose it is, when it expires. Those are no secret; what makes it good is the
    signature, and that is random. Anything else keeps its placeholder as long as it keeps its shape, so that clients which
    still hold an earlier one go on with what was issued since.
    """
    signed = _JWT.fullmatch(value)
    if signed is None:
        same = known is not None and _shape(known) == _shape(value)
        return known if same and known is not None else make_placeholder(value)
    if known is not None and known.startswith(signed[1]) and len(known) == len(value):
        return known
    length = max(MIN_RANDOM, len(signed[2]))
    return signed[1] + "".join(secrets.choice(_BASE64URL) for _ in range(length))


def _shape(value: str) -> tuple[str, int] | None:
    if _JWT.fullmatch(value):
        return None
    match = _PREFIX.match(value)
    return match.group() if match else "", max(len(value), MIN_RANDOM)


def _like(character: str) -> str:
    for alphabet in _CLASSES:
        if character in alphabet:
            return secrets.choice(alphabet)
    # Punctuation keeps the shape (dots of a JWT, dashes of a UUID); anything else becomes a harmless letter.
    return character if character in "-_.~+/=" else secrets.choice(string.ascii_lowercase)
