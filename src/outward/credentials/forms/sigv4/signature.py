"""One signature, calculated by botocore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outward.credentials.forms.signing import Unsigned

S3: Final = frozenset({"s3", "s3-object-lambda", "s3-outposts", "s3express"})
"""Services that take paths as they are, and bodies without a hash. All others want paths encoded twice, and a hash."""


class Library(NamedTuple):
    """What is used of botocore. ``signers`` are for (a service of :data:`S3`, a presigned URL)."""

    request: Any
    credentials: Any
    signers: Mapping[tuple[bool, bool], Any]


def library() -> Library | None:
    """It takes a while to load, and only whoever uses AWS has it."""
    try:
        from botocore import auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
    except ImportError:
        return None
    signers = {
        (False, False): auth.SigV4Auth,
        (False, True): auth.SigV4QueryAuth,
        (True, False): auth.S3SigV4Auth,
        (True, True): auth.S3SigV4QueryAuth,
    }
    return Library(AWSRequest, Credentials, signers)


class Scope(NamedTuple):
    """What a signature is for, and when it was made (``20130524T000000Z``)."""

    timestamp: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.timestamp[:8]}/{self.region}/{self.service}/aws4_request"


class Signature:
    """Of a request with these ``query`` and ``fields``, which are those that it covers."""

    def __init__(
        self,
        library: Library,
        keys: tuple[str, str],
        scope: Scope,
        request: Unsigned,
        query: str,
        fields: Iterable[tuple[str, str]],
        *,
        presigned: bool,
    ) -> None:
        as_it_is = scope.service in S3
        path = quote(request.path, safe="/~%") if as_it_is else request.path
        url = f"{request.scheme}://{request.authority}{path}?{query}"
        self._target: Final = library.request(method=request.method, url=url, data=request.body)
        self._target.context["timestamp"] = scope.timestamp
        self._target.headers["host"] = request.authority
        for name, value in fields:
            self._target.headers[name] = _text(value)
        self._auth: Final = library.signers[as_it_is, presigned](
            library.credentials(*keys), scope.service, scope.region
        )
        self.covered: Final[str] = self._auth.signed_headers(self._auth.headers_to_sign(self._target))
        # Not by `add_auth`, which logs what it signs and has its own view of the query.
        canonical = self._auth.canonical_request(self._target)
        self.text: Final = self.of(self._auth.string_to_sign(self._target, canonical))

    def of(self, text: str) -> str:
        """The signature of any text with the same key for the same day, region and service."""
        return str(self._auth.signature(text, self._target))


def _text(value: str) -> str:
    """A field's value as characters; what is no UTF-8 is taken for latin-1, as servers do."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value
