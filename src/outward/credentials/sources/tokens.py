"""Access tokens, as services answer with them: RFC 6749 §5, and moments in RFC 3339."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from outward.credentials.sources import assertion

if TYPE_CHECKING:
    from outward.core import SecretUnavailable
    from outward.credentials.sources.http import Answer, Service

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
"""RFC 6749 appendix A.12, without the space: it goes into a header."""
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_REASONS: Final = {
    # RFC 6749 §5.2, RFC 8707 §2. Nothing else of what a service says is repeated.
    "invalid_request": ("does not understand the request", ""),
    "invalid_client": (
        "does not take the client's log-in",
        "Are client_id, client_secret and auth those of the client?",
    ),
    "invalid_grant": ("does not take the log-in any more: it has ended, was revoked or replaced", "Log in again."),
    "unauthorized_client": ("does not permit this grant to the client", ""),
    "unsupported_grant_type": ("does not know this grant", ""),
    "invalid_scope": ("does not grant these scopes", "Ask for fewer in `scopes`."),
    "invalid_target": ("does not give tokens for this resource", "Is `resource` or `audience` the right one?"),
}


def checked(service: Service, token: str) -> bytes:
    """The token, if it can stand in a header. Raises :class:`SecretUnavailable`."""
    if not _TOKEN.fullmatch(token):
        raise service.failure("answered with a token that no header can carry")
    return token.encode()


def access_token(service: Service, answer: Answer) -> tuple[bytes, float | None]:
    """The access token of a successful answer (RFC 6749 §5.1), and for how many seconds it is good if that is said."""
    token = checked(service, answer.text("access_token"))
    kind = answer.at("token_type")
    if kind is not None and str(kind).lower() != "bearer":
        # RFC 6749 §7.1: a type that is not understood must not be used.
        raise service.failure("answered with a token that is not a bearer token")
    seconds = answer.at("expires_in")
    if seconds is None:
        return token, None
    if isinstance(seconds, bool) or not _SECONDS.fullmatch(str(seconds)) or int(seconds) == 0:
        raise service.failure("answered without a lifetime that can be read")
    return token, float(seconds)


def refused(service: Service, answer: Answer, *, invalid_grant: str = "") -> SecretUnavailable:
    """Why there is no token (RFC 6749 §5.2). ``invalid_grant`` is what to do if that is the reason."""
    if 400 <= answer.status < 500:
        code = answer.at("error")
        reason, hint = _REASONS.get(code if isinstance(code, str) else "", ("", ""))
        if reason:
            return service.failure(reason, invalid_grant if code == "invalid_grant" and invalid_grant else hint)
    return service.failure(f"answered with status {answer.status}")


def seconds_until(service: Service, moment: str, most: float) -> float:
    """How long it is until then, by this machine's clock, ``most`` at most. Raises :class:`SecretUnavailable`."""
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise service.failure("answered without a moment of expiry that can be read")
    left = at.timestamp() - assertion.now()
    if left <= 0:
        raise service.failure("answered with what has expired already", "Is the clock of this machine right?")
    return min(most, left)
