"""``{github_app: …}``: tokens of an installation of a GitHub App, limited to repositories and permissions.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from outward.credentials.kept import Fetched
from outward.credentials.sources import assertion, tokens
from outward.credentials.sources.http import Service

if TYPE_CHECKING:
    from outward.core import SecretUnavailable
    from outward.credentials.sources import Outside
    from outward.credentials.sources.http import Answer
    from outward.policy import SecretSpec

ADDRESS: Final = "https://api.github.com"
EARLIER: Final = 60
"""Seconds that an assertion is dated back, as GitHub asks for: clocks differ."""
GOOD_FOR: Final = 540
"""Seconds for which an assertion is good; GitHub takes no more than 600."""
LONGEST: Final = 3600.0
"""Seconds for which an installation's token is good."""


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """An installation's token, good for an hour."""
    settings = spec.settings
    service = Service(spec.name, "GitHub", "mint", outside.proxies)
    address = str(settings.get("url", ADDRESS)).rstrip("/")
    headers = await _headers(spec, outside)
    installation = settings["installation"]
    if isinstance(installation, str):
        answer = await service.ask("GET", f"{address}/repos/{installation}/installation", headers=headers)
        if answer.status != 200:
            raise _refused(service, answer)
        installation = answer.at("id")
        if type(installation) is not int:
            raise service.failure("answered without an installation")
    wanted: dict[str, Any] = {}
    if "repositories" in settings:
        wanted["repositories"] = list(settings["repositories"])
    if "permissions" in settings:
        wanted["permissions"] = dict(settings["permissions"])
    url = f"{address}/app/installations/{installation}/access_tokens"
    answer = await service.ask("POST", url, headers=headers, json=wanted)
    if answer.status != 201:
        raise _refused(service, answer)
    token = tokens.checked(service, answer.text("token"))
    return Fetched(token, tokens.seconds_until(service, answer.text("expires_at"), LONGEST))


async def _headers(spec: SecretSpec, outside: Outside) -> dict[str, str]:
    key = await outside.secret(spec.settings["private_key"])
    now = assertion.now()
    claims = {"iat": now - EARLIER, "exp": now + GOOD_FOR, "iss": str(spec.settings["app"])}
    jwt = assertion.signed(spec.name, key, key.reveal(), claims)
    return {
        "authorization": f"Bearer {jwt.decode()}",
        "accept": "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
    }


def _refused(service: Service, answer: Answer) -> SecretUnavailable:
    match answer.status:
        case 401:
            hint = "Is the private key one of this app's, and the clock of this machine right?"
            return service.failure("does not take the app's log-in", hint)
        case 403:
            return service.failure("denies it", "Is the installation suspended, or a limit reached?")
        case 404:
            return service.failure("knows no such installation of this app", "Is the app installed there?")
        case 422:
            hint = "The installation must have been given all of `repositories` and `permissions`."
            return service.failure("does not give the app what is asked for", hint)
        case status:
            return service.failure(f"answered with status {status}")
