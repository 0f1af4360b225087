"""``{azure: {vault: …, secret: …}}``: Azure Key Vault.

The documented HTTP API rather than ``azure-identity``, which brings six packages for what is one form to fill in: a token by
a client's secret, by a federated token (workload identity), from a machine's own identity, or from the program ``az``. Which
of them is said by the policy or follows from the variables that are set; none is tried after another has failed.
https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret,
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

from outward.credentials.kept import Fetched
from outward.credentials.parts import json_object
from outward.credentials.sources.http import Answer, Service
from outward.credentials.sources.programs import output_of

if TYPE_CHECKING:
    from outward.core import SecretUnavailable
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

VERSION: Final = "7.4"
"""Of the API."""
LOGIN: Final = "https://login.microsoftonline.com"
METADATA: Final = "http://169.254.169.254/metadata/identity/oauth2/token"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLI_TOKEN_LIFETIME: Final = 240.0
"""Seconds: ``az`` gives a token that is good for five minutes at least."""


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The secret's value."""
    return await _KeyVault(spec, outside).read()


class _KeyVault:
    """A vault as one secret sees it."""

    def __init__(self, spec: SecretSpec, outside: Outside) -> None:
        self._settings: Final = spec.settings
        self._outside: Final = outside
        named: str = self._settings["vault"]
        self._vault: Final = named.rstrip("/") if "://" in named else f"https://{named}.vault.azure.net"
        # Who the token is for: the cloud that the vault is in. A token for one service is none for another.
        self._resource: Final = f"https://{(urlsplit(self._vault).hostname or '').partition('.')[2]}"
        self._auth: Final[str] = self._settings.get("auth") or self._found_auth()
        self._service: Final = Service(spec.name, "Azure", "azure", outside.proxies)

    def _found_auth(self) -> str:
        environment = self._outside.environment
        if environment.get("AZURE_CLIENT_SECRET"):
            return "client_secret"
        return "workload_identity" if environment.get("AZURE_FEDERATED_TOKEN_FILE") else "cli"

    async def read(self) -> Fetched:
        key = ("azure", self._auth, self._resource, self._settings.get("client_id"))
        token = await self._outside.share(self._service.secret, key, self._token)
        assert isinstance(token.value, bytes), "a token is one value"
        name = quote(self._settings["secret"], safe="")
        version = f"/{quote(self._settings['version'], safe='')}" if "version" in self._settings else ""
        answer = await self._service.ask(
            "GET",
            f"{self._vault}/secrets/{name}{version}?api-version={VERSION}",
            headers={"authorization": f"Bearer {token.value.decode()}"},
        )
        if answer.status == 401:
            self._outside.forget(key)
        if answer.status != 200:
            raise self._refused(answer, name)
        return Fetched(answer.text("value").encode())

    def _refused(self, answer: Answer, name: str) -> SecretUnavailable:
        match answer.status:
            case 401:
                reason, hint = "does not take the log-in", "Is it of the tenant that the vault belongs to?"
            case 403:
                reason, hint = (
                    f"denies reading {name}",
                    "The role Key Vault Secrets User is needed, or the vault has a firewall.",
                )
            case 404:
                reason, hint = f"has no secret {name}", ""
            case status:
                reason, hint = f"answered with status {status}", ""
        return self._service.failure(reason, hint)

    async def _token(self) -> Fetched:
        match self._auth:
            case "cli":
                return await self._cli_token()
            case "managed_identity":
                return await self._machine_token()
            case _:
                return await self._client_token()

    async def _client_token(self) -> Fetched:
        """By the client's secret, or by a token that somebody else has signed for it."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.get("client_id") or self._variable("AZURE_CLIENT_ID"),
            "scope": f"{self._resource}/.default",
        }
        if self._auth == "client_secret":
            form["client_secret"] = self._variable("AZURE_CLIENT_SECRET")
        else:
            form |= {"client_assertion_type": ASSERTION, "client_assertion": self._federated()}
        host = (self._outside.environment.get("AZURE_AUTHORITY_HOST") or LOGIN).rstrip("/")
        tenant = quote(self._variable("AZURE_TENANT_ID"), safe="")
        answer = await self._service.ask("POST", f"{host}/{tenant}/oauth2/v2.0/token", form=form)
        return self._taken(answer)

    async def _machine_token(self) -> Fetched:
        """From the machine's metadata service, which is reached over the machine's own link alone."""
        query = {"api-version": "2018-02-01", "resource": self._resource}
        if "client_id" in self._settings:
            query["client_id"] = self._settings["client_id"]
        outside = self._outside
        metadata = Service(self._service.secret, "Azure's metadata service", "azure", outside.proxies, plain=True)
        return self._taken(await metadata.ask("GET", f"{METADATA}?{urlencode(query)}", headers={"metadata": "true"}))

    def _taken(self, answer: Answer) -> Fetched:
        if answer.status != 200:
            raise answer.service.failure(f"refuses the log-in by {self._auth} (status {answer.status})")
        seconds = answer.at("expires_in")  # the metadata service says it in a text
        if not str(seconds).isascii() or not str(seconds).isdigit():
            raise answer.service.failure("answered without expires_in")
        return Fetched(answer.text("access_token").encode(), float(seconds))

    async def _cli_token(self) -> Fetched:
        argv = ("az", "account", "get-access-token", "--resource", self._resource, "--output", "json")
        hint = "`az login`; or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
        printed = json_object(await output_of(self._service.secret, argv, self._outside.environment, hint=hint))
        token = (printed or {}).get("accessToken")
        if not isinstance(token, str) or not token:
            raise self._service.failure("gives no log-in: az printed no token", hint)
        return Fetched(token.encode(), CLI_TOKEN_LIFETIME)

    def _federated(self) -> str:
        file = Path(self._variable("AZURE_FEDERATED_TOKEN_FILE"))
        try:
            return file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._service.failure(f"needs {file}, which cannot be read: {type(error).__name__}") from None

    def _variable(self, name: str) -> str:
        value = self._outside.environment.get(name)
        if not value:
            raise self._service.failure(f"needs ${name} for the log-in by {self._auth}")
        return value
