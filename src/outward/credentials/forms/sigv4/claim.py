"""What a client's own signature says about how it wants to be signed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from outward.core import ClientError
from outward.core.canonical import folded_name
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.credentials.forms.signing import Unsigned

FIELDS: Final = frozenset(
    # Of a signature: ours, or nobody's.
    {"authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-region-set", "x-amz-s3session-token"}
    | {"x-amz-security-token"}
)
PARAMETERS: Final = frozenset(
    # Likewise, folded.
    {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-region-set", "x-amz-s3session-token"}
    | {"x-amz-security-token", "x-amz-signature", "x-amz-signedheaders"}
)
OLD_PARAMETERS: Final = frozenset({"awsaccesskeyid", "signature"})
"""Of Signature Version 2, which some services still take. Alone, the second is any service's own."""

UNSIGNED: Final = "UNSIGNED-PAYLOAD"
CHUNKS: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CHUNKS_AND_TRAILERS: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
_PAYLOADS: Final = frozenset({UNSIGNED, CHUNKS, CHUNKS_AND_TRAILERS, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")

LONGEST_EXPIRY: Final = 604800
"""Seconds for which a presigned URL can be good."""

_SCOPE: Final = re.compile(r".+/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_PART: Final = re.compile(r"(Credential|SignedHeaders)=([^,\s]*)")
_SECONDS: Final = re.compile(r"[1-9][0-9]{0,5}")


class Claim(NamedTuple):
    """``covered`` are lower-case names of fields. ``expires`` is a presigned URL's, in seconds, and ``None`` of all else."""

    service: str | None = None
    region: str | None = None
    covered: frozenset[str] = frozenset()
    expires: str | None = None


def read(request: Unsigned) -> Claim:
    """The claim of a request; an empty one if it is not signed, or in another way. Raises :class:`ClientError`."""
    return _in_header(request) or _in_query(request) or Claim()


def _in_header(request: Unsigned) -> Claim | None:
    for value in request.all("authorization"):
        algorithm, _, rest = value.partition(" ")
        if algorithm.startswith("AWS4-"):
            return _claim(algorithm, {name.lower(): text for name, text in _PART.findall(rest)}, None)
    return None


def _in_query(request: Unsigned) -> Claim | None:
    values: dict[str, str] = {}
    for piece in re.split("[&;]", request.query):
        name, _, value = piece.partition("=")
        folded = folded_name(name)
        if folded in PARAMETERS:
            values[folded.removeprefix("x-amz-")] = unquote_to_bytes(value).decode("latin-1")
    if "algorithm" not in values:
        return None
    expires = values.get("expires", "")
    if not _SECONDS.fullmatch(expires) or int(expires) > LONGEST_EXPIRY:
        raise ClientError("the expiry of the presigned URL is malformed")
    return _claim(values["algorithm"], values, expires)


def _claim(algorithm: str, values: Mapping[str, str], expires: str | None) -> Claim:
    if algorithm.startswith("AWS4-ECDSA"):
        hint = "Let the client sign for one region, with SigV4."
        raise ClientError("signatures for several regions (SigV4A) cannot be made anew", hint=hint)
    match = _SCOPE.fullmatch(values.get("credential", ""))
    if match is None:
        raise ClientError("the scope of the AWS signature is malformed")
    covered = frozenset(values.get("signedheaders", "").lower().split(";"))
    return Claim(match[2], match[1], covered, expires)


def payload(request: Unsigned) -> str | None:
    """What the client says is signed of the body, if it says so. Raises :class:`ClientError` for what nobody else can sign."""
    given = request.all("x-amz-content-sha256")
    if not given:
        return None
    if len(given) == 1 and (_HASH.fullmatch(given[0]) or given[0] in _PAYLOADS):
        return given[0]
    # Several, messages of a conversation, or chunks by SigV4A.
    raise ClientError("this x-amz-content-sha256 says that the body is signed in a way that cannot be done anew")
