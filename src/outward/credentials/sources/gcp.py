"""``{gcp: {project: …, secret: …}}``: Google Cloud's Secret Manager.

google-auth for the log-in, since "application default credentials" are of six kinds, some of which ask third services; the
documented HTTP API for the secret itself, which is one request. google-auth blocks, so it runs in a thread; where its
credentials are is told to it, so that it reads no environment.
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import binascii
import ssl
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from outward.core import SecretUnavailable
from outward.core.proxy import host_and_port
from outward.credentials.kept import Fetched
from outward.credentials.sources.http import Answer, Service, login_at
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

HOST: Final = "https://secretmanager.googleapis.com"
TOKENS: Final = "https://oauth2.googleapis.com"
SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
TOKEN_LIFETIME: Final = 600.0
"""Seconds for which a token is used where Google does not say until when it is good."""

_HINT: Final = (
    "`gcloud auth application-default login`, or name a service account's file in GOOGLE_APPLICATION_CREDENTIALS."
)


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The secret's value."""
    settings = spec.settings
    service = Service(spec.name, "Google Cloud", "gcp", outside.proxies)
    file = credentials_file(outside.environment)
    key = ("gcp", file)
    token = await outside.share(spec.name, key, lambda: _login(spec.name, file, service))
    assert isinstance(token.value, bytes), "a token is one value"
    name = "projects/{project}/secrets/{secret}/versions/{version}".format(
        **{key: quote(str(settings.get(key, "latest")), safe="") for key in ("project", "secret", "version")}
    )
    bearer = {"authorization": f"Bearer {token.value.decode()}"}
    answer = await service.ask("GET", f"{HOST}/v1/{name}:access", headers=bearer)
    if answer.status == 401:
        outside.forget(key)
    if answer.status != 200:
        raise _refused(service, answer, name)
    try:
        return Fetched(b64decode(answer.text("payload", "data"), validate=True))
    except (binascii.Error, ValueError):
        raise service.failure("answered with something that is not base64") from None


def credentials_file(environment: Mapping[str, str]) -> Path | None:
    """Where application default credentials are; ``None`` on a machine of Google's that has its own."""
    if named := environment.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return Path(named)
    directory = environment.get("CLOUDSDK_CONFIG") or f"{environment.get('HOME', '')}/.config/gcloud"
    file = Path(directory) / "application_default_credentials.json"
    return file if file.exists() else None


def _refused(service: Service, answer: Answer, name: str) -> SecretUnavailable:
    match answer.status:
        case 401:
            reason, hint = "does not take the log-in", _HINT
        case 403:
            reason, hint = (
                f"denies access to {name}",
                "The role secretmanager.secretAccessor is needed, and the API enabled.",
            )
        case 404:
            reason, hint = f"has no {name}", ""
        case 400:
            reason, hint = f"does not give {name}", "Is the version disabled or destroyed?"
        case status:
            reason, hint = f"answered with status {status}", ""
    return service.failure(reason, hint)


async def _login(name: str, file: Path | None, service: Service) -> Fetched:
    return await in_thread(lambda: _token(name, file, service))


def _token(name: str, file: Path | None, service: Service) -> Fetched:
    """An access token, and for how long it is good."""
    try:
        from google.auth import compute_engine, exceptions, load_credentials_from_file
        from google.auth.transport.requests import Request
    except ImportError:
        hint = "pip install 'outward[gcp]'"
        raise SecretUnavailable(name, "Google Cloud needs google-auth, which is not there", hint=hint) from None
    try:
        if file is None:
            credentials: Any = compute_engine.Credentials()
        else:
            credentials, _ = load_credentials_from_file(str(file), scopes=SCOPES)
        credentials.refresh(Request(_session(service)))
    except exceptions.GoogleAuthError as error:
        # Its text may repeat what a token service answered.
        raise service.failure(f"gives no log-in: {type(error).__name__}", _HINT) from None
    if credentials.expiry is None:
        return Fetched(credentials.token.encode(), TOKEN_LIFETIME)
    left = credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)
    return Fetched(credentials.token.encode(), max(0.0, left.total_seconds()))


def _session(service: Service) -> Any:
    """How google-auth reaches who gives tokens: as :mod:`.http` does, by the system's roots and the caller's proxies."""
    import requests

    session = requests.Session()
    session.trust_env = False  # nor ~/.netrc
    session.verify = ssl.get_default_verify_paths().cafile or True
    proxy = service.proxy_for(TOKENS, TOKENS.removeprefix("https://"))
    if proxy is not None:
        user = ":".join(quote(part, safe="") for part in login_at(proxy, service.proxies) or ())
        session.proxies = {
            "https": f"{proxy.scheme}://{user}{'@' if user else ''}{host_and_port(proxy.host, proxy.port)}"
        }
    return session
