"""``{gcp_token: …}``: access tokens of a Google service account, or of one that it may impersonate.

The grant is RFC 7523 §2.1: an assertion that the account's key signs. Two documented requests, so without google-auth, which
blocks. https://developers.google.com/identity/protocols/oauth2/service-account and
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from outward.core import Secret, SecretUnavailable
from outward.credentials.kept import Fetched
from outward.credentials.parts import json_object
from outward.credentials.sources import assertion, tokens
from outward.credentials.sources.http import Service

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

TOKENS: Final = "https://oauth2.googleapis.com/token"
CREDENTIALS: Final = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
EVERYTHING: Final = "https://www.googleapis.com/auth/cloud-platform"
"""The scope that impersonation itself needs; of a token that is asked for, the roles of the account are the limit."""
LONGEST: Final = 3600.0
"""Seconds for which a token is good, unless an organisation permits more."""


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """An access token with the scopes that the policy names."""
    settings = spec.settings
    service = Service(spec.name, "Google Cloud", "mint", outside.proxies)
    scopes = list(settings.get("scopes", (EVERYTHING,)))
    lifetime = settings.get("lifetime", LONGEST)
    key = await outside.secret(settings["key"])
    if "impersonate" not in settings:
        return await _granted(service, key, scopes, lifetime)
    own = await outside.share(spec.name, ("gcp_token", key.name), lambda: _granted(service, key, [EVERYTHING], LONGEST))
    assert isinstance(own.value, bytes), "a token is one value"
    url = f"{CREDENTIALS}/{quote(settings['impersonate'], safe='@')}:generateAccessToken"
    wanted = {"scope": scopes, "lifetime": f"{lifetime:.0f}s"}
    answer = await service.ask("POST", url, headers={"authorization": f"Bearer {own.value.decode()}"}, json=wanted)
    match answer.status:
        case 200:
            token = tokens.checked(service, answer.text("accessToken"))
            return Fetched(token, tokens.seconds_until(service, answer.text("expireTime"), lifetime))
        case 401:
            outside.forget(("gcp_token", key.name))
            raise service.failure("does not take the log-in")
        case 403 | 404:
            hint = "The role iam.serviceAccountTokenCreator on that account is needed, and the API enabled."
            raise service.failure(f"does not let the account be {settings['impersonate']}", hint)
        case status:
            raise service.failure(f"answered with status {status}")


async def _granted(service: Service, key: Secret, scopes: list[str], lifetime: float) -> Fetched:
    account = _account(service.secret, key)
    now = assertion.now()
    claims: dict[str, Any] = {
        "iss": account["client_email"],
        "scope": " ".join(scopes),
        "aud": TOKENS,
        "iat": now,
        "exp": now + int(min(lifetime, LONGEST)),
    }
    pem = account["private_key"].encode()
    jwt = assertion.signed(service.secret, key, pem, claims, key_id=account["private_key_id"])
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": jwt.decode()}
    answer = await service.ask("POST", TOKENS, form=form)
    if answer.status != 200:
        hint = "Was the key deleted or the account disabled? Is the clock of this machine right?"
        raise tokens.refused(service, answer, invalid_grant=hint)
    return Fetched(*tokens.access_token(service, answer))


def _account(name: str, key: Secret) -> dict[str, str]:
    """The fields of a service account's key file. Where to send it is not taken from there."""
    content = json_object(key.reveal())
    fields = ("client_email", "private_key", "private_key_id")
    if content is None or not all(isinstance(content.get(field), str) for field in fields):
        raise SecretUnavailable(
            name,
            f"the secret {key.name} is not the key of a service account",
            hint="Give it the whole JSON file that `gcloud iam service-accounts keys create` wrote.",
        )
    return {field: content[field] for field in fields}
