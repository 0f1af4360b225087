"""``{oauth: …}``: access tokens by a refresh token or by the client's own log-in (RFC 6749 §6 and §4.4).

The two grants are one request with a form, so without a library of OAuth: what those are for is the log-in with a browser.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from outward.credentials.kept import Fetched
from outward.credentials.sources import tokens
from outward.credentials.sources.http import Service, trusting
from outward.credentials.sources.rotation import Rotation

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.credentials.sources.http import Answer
    from outward.policy import SecretSpec


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """An access token. A refresh token that replaces the one used is kept before the access token is given."""
    settings = spec.settings
    context = partial(trusting, settings.get("ca"))
    service = Service(spec.name, "the OAuth service", "mint", outside.proxies, context=context)
    headers, form = await _client(spec, outside)
    if "scopes" in settings:
        form["scope"] = " ".join(settings["scopes"])
    form |= {name: settings[name] for name in ("audience", "resource") if name in settings}
    if "refresh_token" not in settings:
        form["grant_type"] = "client_credentials"
        return Fetched(*tokens.access_token(service, await _asked(service, spec, headers, form)))
    first = await outside.secret(settings["refresh_token"])
    rotation = Rotation(spec.name, outside.environment, settings["token_url"], settings["client_id"], first)
    async with rotation.alone():
        current = await rotation.current()
        form |= {"grant_type": "refresh_token", "refresh_token": current}
        answer = await _asked(service, spec, headers, form)
        following = answer.at("refresh_token")
        if isinstance(following, str) and following and following != current:
            await rotation.replace(tokens.checked(service, following))
        return Fetched(*tokens.access_token(service, answer))


async def _client(spec: SecretSpec, outside: Outside) -> tuple[dict[str, str], dict[str, str]]:
    """The header and the fields by which the client says who it is (RFC 6749 §2.3.1)."""
    identity = spec.settings["client_id"]
    if "client_secret" not in spec.settings:
        return {}, {"client_id": identity}
    secret = (await outside.secret(spec.settings["client_secret"])).reveal().decode("utf-8", "surrogateescape")
    if spec.settings.get("auth", "basic") == "post":
        return {}, {"client_id": identity, "client_secret": secret}
    pair = f"{quote_plus(identity)}:{quote_plus(secret, errors='surrogateescape')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {}


async def _asked(service: Service, spec: SecretSpec, headers: dict[str, str], form: dict[str, str]) -> Answer:
    answer = await service.ask(
        "POST", spec.settings["token_url"], headers={"accept": "application/json", **headers}, form=form
    )
    if answer.status != 200:
        again = spec.settings.get("refresh_token")
        hint = f"Log in again, and give the secret {again} the new refresh token." if again else ""
        raise tokens.refused(service, answer, invalid_grant=hint)
    return answer
