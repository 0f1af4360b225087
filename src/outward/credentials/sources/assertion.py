"""JSON Web Tokens by which a holder of a private key says who it is (RFC 7515, RFC 7519), signed with RS256.

By `cryptography` alone, which the program needs anyway: they are only made here, never read, and all that a library of
JWTs would add, and what such libraries have been attacked by, is reading them.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Secret


def now() -> int:
    """Seconds since 1970, by the wall clock: what services compare with theirs."""
    return int(time.time())


def signed(name: str, key: Secret, pem: bytes, claims: Mapping[str, Any], *, key_id: str = "") -> bytes:
    """The claims, signed by the RSA key in ``pem``; ``key_id`` tells the service which of several that is.

    Raises :class:`SecretUnavailable` for the secret ``name`` if ``pem``, which the secret ``key`` holds, is no RSA key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # here: whoever has no such secret starts without it
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise SecretUnavailable(
            name,
            f"the secret {key.name} is not an RSA private key in PEM",
            hint="Give it the whole key file, as it was downloaded.",
        )
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
    text = b".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return text + b"." + _encoded(private.sign(text, padding.PKCS1v15(), hashes.SHA256()))


def _encoded(octets: bytes) -> bytes:
    return urlsafe_b64encode(octets).rstrip(b"=")
