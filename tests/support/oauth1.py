"""A server's check of OAuth 1.0a, written from RFC 5849 alone: nothing of the library that signs for us is used."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGESTS = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}


def _encoded(text: str) -> str:
    """§3.6."""
    return quote(text, safe="-._~")


def parameters_of(authorization: str) -> dict[str, str]:
    """§3.5.1."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme.lower() == "oauth"
    pairs = (part.strip().partition("=") for part in rest.split(","))
    found = {unquote(name): unquote(value.strip('"')) for name, _, value in pairs}
    found.pop("realm", None)
    return found


def signature(
    method: str, base: str, query: str, form: str, given: Mapping[str, str], consumer_secret: str, token_secret: str
) -> str:
    """§3.4. ``base`` is the address without query, in lower case where that does not matter."""
    pairs = parse_qsl(query, keep_blank_values=True) + parse_qsl(form, keep_blank_values=True)
    pairs += [(name, value) for name, value in given.items() if name != "oauth_signature"]
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    normal = "&".join(f"{name}={value}" for name, value in encoded)
    text = "&".join(map(_encoded, (method, base, normal)))
    key = f"{_encoded(consumer_secret)}&{_encoded(token_secret)}"
    return b64encode(hmac.digest(key.encode(), text.encode(), DIGESTS[given["oauth_signature_method"]])).decode()
