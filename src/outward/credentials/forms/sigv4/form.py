"""The form: from a request as the client sent it to the same one with our signature."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from outward.core import ClientError, SecretUnavailable
from outward.credentials.forms import query as parameters
from outward.credentials.forms.signing import Signed, key_text
from outward.credentials.forms.sigv4 import claim as claims
from outward.credentials.forms.sigv4.chunks import Chain, SignedChunks
from outward.credentials.forms.sigv4.hosts import service_and_region
from outward.credentials.forms.sigv4.signature import S3, Scope, Signature, library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Injection, Secret
    from outward.credentials.forms.signing import BodyFilter, Unsigned
    from outward.credentials.forms.sigv4.claim import Claim
    from outward.credentials.forms.sigv4.signature import Library

_COVERED: Final = frozenset({"content-md5", "content-type"})
_NEVER_COVERED: Final = frozenset(
    # What may still change after the signature, and what no intermediary may be relied on to leave alone.
    {"a-im", "accept-encoding", "connect-accept-encoding", "connection", "content-length", "cookie", "expect"}
    | {"grpc-accept-encoding", "sec-websocket-extensions", "te", "transfer-encoding", "user-agent"}
    | {"baggage", "traceparent", "tracestate", "x-amzn-trace-id"}
)


MAX_FORM: Final = 4 * 1024 * 1024
"""Octets of a form, which is looked through while everybody waits."""


def now() -> datetime:
    """The time of a signature."""
    return datetime.now(UTC)


class SigV4:
    """The :class:`~outward.credentials.forms.signing.Signer`."""

    def __init__(self, injection: Injection) -> None:
        settings = dict(injection.settings)
        self._service: Final = settings.pop("service", None)
        self._region: Final = settings.pop("region", None)
        self._keys: Final = settings
        self._library: Final = library()

    def read(self, request: Unsigned) -> SigV4Signing:
        """See :class:`~outward.credentials.forms.signing.Signer`."""
        claim = claims.read(request)
        host = service_and_region(request.authority.partition(":")[0])
        service = self._service or claim.service or (host and host[0])
        region = self._region or claim.region or (host and host[1])
        if not service or not region:
            missing = "region" if service else "service"
            hint = f"Name it in the policy: {{sigv4: {{…, {missing}: NAME}}}}"
            raise ClientError(f"neither policy nor request nor host say for which AWS {missing} it is", hint=hint)
        if service in S3 and request.method == "POST" and "multipart/form-data" in request.media_types:
            # Its fields hold a signature of their own, by whoever made the form.
            raise ClientError("an upload by a browser's form cannot be signed anew", hint="Upload with PUT.")
        return SigV4Signing(self, request, claim, service, region)

    def keys(self, values: Mapping[str, Secret]) -> dict[str, str]:
        """The values of the secrets, by what they are for."""
        return {role: key_text(values[name]) for role, name in self._keys.items()}

    def library(self) -> Library:
        """Raises :class:`SecretUnavailable` if it is not there."""
        if self._library is None:
            reason, hint = "signatures for AWS need botocore, which is not there", "pip install 'outward[aws]'"
            raise SecretUnavailable(self._keys["access_key"], reason, hint=hint)
        return self._library


class SigV4Signing:
    """The :class:`~outward.credentials.forms.signing.Signing` of one request."""

    def __init__(self, form: SigV4, request: Unsigned, claim: Claim, service: str, region: str) -> None:
        self._form: Final = form
        self._claim: Final = claim
        self._service: Final = service
        self._region: Final = region
        self._payload = claims.payload(request)
        self._presigned: Final = claim.expires is not None
        # A form may hold a signature of its own: that has to be looked for.
        self._form_body: Final = service not in S3 and request.is_form
        if self._presigned and self._payload in {claims.CHUNKS, claims.CHUNKS_AND_TRAILERS}:
            raise ClientError("a presigned URL signs no chunks")
        if self._payload is None and service in S3 and request.scheme == "https" and not self._presigned:
            self._payload = claims.UNSIGNED

    @property
    def needs_body(self) -> bool:
        """See :class:`~outward.credentials.forms.signing.Signing`, likewise below."""
        hashed = self._payload is None and not (self._presigned and self._service in S3)
        return hashed or self._form_body

    def sign(self, request: Unsigned, values: Mapping[str, Secret]) -> Signed:
        """In the query if the client's signature is there, else in the header."""
        if self._form_body:
            _refuse_signed_form(request.body or b"")
        keys = self._form.keys(values)
        scope = Scope(f"{now():%Y%m%dT%H%M%SZ}", self._region, self._service)
        query = _normal(_without_signature(request.query))
        fields = [(name, value) for name, value in request.fields if name.lower() not in claims.FIELDS]
        payload = self._payload
        if payload is None and self._service in S3 and not self._presigned:
            payload = sha256(request.body or b"").hexdigest()
        if payload is not None and (not self._presigned or request.all("x-amz-content-sha256")):
            fields.append(("x-amz-content-sha256", payload))
        if self._presigned:
            return self._in_query(request, keys, scope, query, fields)
        fields.append(("x-amz-date", scope.timestamp))
        if "session_token" in keys:
            fields.append(("x-amz-security-token", keys["session_token"]))
        made = self._signature(request, keys, scope, query, fields)
        credential = f"Credential={keys['access_key']}/{scope}"
        value = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={made.covered}, Signature={made.text}"
        return Signed(query, [*fields, ("authorization", value)], self._chunks(made, scope))

    def _in_query(
        self, request: Unsigned, keys: Mapping[str, str], scope: Scope, query: str, fields: list[tuple[str, str]]
    ) -> Signed:
        ours = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{keys['access_key']}/{scope}",
            "X-Amz-Date": scope.timestamp,
            "X-Amz-Expires": self._claim.expires or "",
            "X-Amz-SignedHeaders": ";".join(sorted({"host"} | {name.lower() for name, _ in self._covered(fields)})),
        }
        if "session_token" in keys:
            ours["X-Amz-Security-Token"] = keys["session_token"]
        added = "&".join(f"{name}={quote(value, safe='')}" for name, value in ours.items())
        query = f"{query}&{added}" if query else added
        made = self._signature(request, keys, scope, query, fields)
        return Signed(f"{query}&X-Amz-Signature={made.text}", fields)

    def _signature(
        self, request: Unsigned, keys: Mapping[str, str], scope: Scope, query: str, fields: list[tuple[str, str]]
    ) -> Signature:
        pair = keys["access_key"], keys["secret_key"]
        covered = self._covered(fields)
        return Signature(self._form.library(), pair, scope, request, query, covered, presigned=self._presigned)

    def _covered(self, fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """What the client's signature covers and is sent, and what any has to cover."""
        wanted = self._claim.covered if self._presigned else self._claim.covered | _COVERED
        wanted -= _NEVER_COVERED
        return [field for field in fields if (name := field[0].lower()) in wanted or name.startswith("x-amz-")]

    def _chunks(self, made: Signature, scope: Scope) -> BodyFilter | None:
        if self._payload not in {claims.CHUNKS, claims.CHUNKS_AND_TRAILERS}:
            return None
        chain = Chain(made.of, scope.timestamp, str(scope), made.text)
        return SignedChunks(chain, trailers=self._payload == claims.CHUNKS_AND_TRAILERS)


def _without_signature(query: str) -> str:
    old = claims.OLD_PARAMETERS if "awsaccesskeyid" in parameters.names(query) else frozenset[str]()
    return parameters.without(query, claims.PARAMETERS | old)


def _normal(query: str) -> str:
    """The query in the one spelling that it has in a signature, so that no server can read another one into it.

    A plus sign means a blank to every service, and a semicolon is a part of its value.
    """
    pieces = []
    for piece in filter(None, query.split("&")):
        name, equals, value = piece.partition("=")
        pieces.append(_encoded(name) + equals + _encoded(value))
    return "&".join(pieces)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="")


def _spellings(name: str) -> str:
    return "".join(f"(?:{re.escape(c)}|%{ord(c):02x}|%{ord(c.upper()):02x})" for c in name)


_SIGNED_FORM: Final = re.compile(
    rf"(?i)(?:^|[&;])(?:{'|'.join(map(_spellings, ('awsaccesskeyid', 'x-amz-credential', 'x-amz-signature')))})".encode()
)


def _refuse_signed_form(body: bytes) -> None:
    """A form that holds a signature of its own would be somebody else's request beside ours."""
    if len(body) > MAX_FORM:
        raise ClientError(f"a form with more than {MAX_FORM} octets is not signed")
    if _SIGNED_FORM.search(body):
        raise ClientError("the body holds a signature of the client's own")
