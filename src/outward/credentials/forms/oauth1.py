"""``{oauth1: {consumer_key, consumer_secret, …}}``: requests signed by OAuth 1.0a (RFC 5849), by oauthlib.

The signature covers the method, the address and all parameters, those of a form's body too (§3.4.1.3.1). It is put into the
header; what the client itself says in OAuth's name does not go out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from outward.core import ClientError, SecretUnavailable
from outward.credentials.forms import query as parameters
from outward.credentials.forms.signing import Signed, key_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Injection, Secret
    from outward.credentials.forms.signing import Unsigned

METHODS: Final = ("HMAC-SHA1", "HMAC-SHA256")
"""Signature methods with shared secrets: RFC 5849's own, which is the default, and the one that services added to it."""

MAX_FORM: Final = 256 * 1024
"""Octets of a form, all of which are escaped for the signature while everybody waits."""
MAX_PARAMETERS: Final = 1000
"""Parameters of a form, or of a query, which are sorted for it."""

_METHOD: Final = re.compile(r'(?:^|[\s,])oauth_signature_method="?([^",\s]*)')
_IN_BODY: Final = re.compile(
    rb"(?i)(?:^|[&;])(?:o|%[46]f)(?:a|%[46]1)(?:u|%[57]5)(?:t|%[57]4)(?:h|%[46]8)(?:_|%5f|\.|\+)"
)


class OAuth1:
    """The :class:`~outward.credentials.forms.signing.Signer`."""

    def __init__(self, injection: Injection) -> None:
        settings = dict(injection.settings)
        self.method: Final = settings.pop("method", None)
        self._keys: Final = settings
        try:
            from oauthlib import oauth1
        except ImportError:
            oauth1 = None
        self._library: Final[Any] = oauth1

    def read(self, request: Unsigned) -> OAuth1Signing:
        """See :class:`~outward.credentials.forms.signing.Signer`."""
        found = [match[1] for value in request.all("authorization") if (match := _METHOD.search(value))]
        asked = unquote(found[0]).upper() if found else ""
        return OAuth1Signing(self, self.method or (asked if asked in METHODS else METHODS[0]), request)

    def client(self, method: str, values: Mapping[str, Secret]) -> Any:
        """What signs with these values."""
        if self._library is None:
            reason, hint = "OAuth 1 needs oauthlib, which is not there", "pip install 'outward[oauth1]'"
            raise SecretUnavailable(self._keys["consumer_key"], reason, hint=hint)
        keys = {role: key_text(values[name]) for role, name in self._keys.items()}
        return self._library.Client(
            keys["consumer_key"],
            client_secret=keys["consumer_secret"],
            resource_owner_key=keys.get("token"),
            resource_owner_secret=keys.get("token_secret"),
            signature_method=method,
        )


class OAuth1Signing:
    """The :class:`~outward.credentials.forms.signing.Signing` of one request."""

    def __init__(self, form: OAuth1, method: str, request: Unsigned) -> None:
        self._form: Final = form
        self._method: Final = method
        self.needs_body: Final = request.is_form

    def sign(self, request: Unsigned, values: Mapping[str, Secret]) -> Signed:
        """See :class:`~outward.credentials.forms.signing.Signing`."""
        if request.is_form and len(request.media_types) > 1:
            raise ClientError("there are several content types")
        body = (request.body or b"").decode("latin-1") if request.is_form else ""
        if len(body) > MAX_FORM:
            raise ClientError(f"a form with more than {MAX_FORM} octets is not signed")
        if max(text.count("&") for text in (body, request.query)) >= MAX_PARAMETERS:
            raise ClientError(f"more than {MAX_PARAMETERS} parameters are not signed")
        if body and _IN_BODY.search(body.encode("latin-1")):
            raise ClientError("the body holds OAuth parameters of the client's own")
        own = frozenset(name for name in parameters.names(request.query) if name.startswith("oauth_"))
        query = parameters.without(request.query, own)
        address = f"{request.scheme}://{request.authority}{request.path}" + (f"?{query}" if query else "")
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        client = self._form.client(self._method, values)
        try:
            _, signed, _ = client.sign(address, request.method, body=body or None, headers=headers)
        except ValueError:
            raise ClientError("there are characters in the query or in the form that must be encoded") from None
        fields = [(name, value) for name, value in request.fields if name.lower() != "authorization"]
        return Signed(query, [*fields, ("authorization", signed["Authorization"])])
