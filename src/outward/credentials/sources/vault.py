"""``{vault: {path: …, field: …}}``: HashiCorp Vault, and OpenBao, which speaks the same.

The path is that of the HTTP API, as ``vault read`` takes it: ``secret/data/dev/github`` for version 2 of the KV engine,
``kv/dev/github`` for version 1, ``database/creds/app`` for credentials that are made on demand. What is made on demand has a
lease: it is renewed as long as Vault lets it, then other credentials are asked for. They end with the token that they were
made with, so they are never used for longer than it.

The documented HTTP API rather than ``hvac``: what is needed of it are five requests, and hvac blocks.
https://developer.hashicorp.com/vault/api-docs
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from outward.credentials.kept import Fetched
from outward.credentials.parts import fields_of
from outward.credentials.sources.http import Answer, Service, trusting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import SecretUnavailable
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

TOKEN_CHECK: Final = 60.0
"""Seconds for which a token of the person's own is used before it is read again, for ``vault login`` replaces it."""
MAX_TOKEN: Final = 64 * 1024
"""Octets of a token's file; a JWT with many claims has some thousands."""
WORTH_RENEWING: Final = 0.5
"""Of its first duration: a renewed lease that is shorter has met its end, and another is asked for."""
POD_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The fields at the path."""
    return await _Vault(spec, outside).read()


class _Vault:
    """Vault as one secret sees it."""

    def __init__(self, spec: SecretSpec, outside: Outside) -> None:
        self._settings: Final = spec.settings
        self._outside: Final = outside
        environment = outside.environment
        self._address: Final = str(
            self._settings.get("address") or environment.get("VAULT_ADDR") or "https://127.0.0.1:8200"
        ).rstrip("/")
        self._namespace: Final = self._settings.get("namespace") or environment.get("VAULT_NAMESPACE", "")
        context = partial(trusting, self._settings.get("ca") or environment.get("VAULT_CACERT"))
        self._auth: Final = self._settings.get("auth", "token")
        self._service: Final = Service(spec.name, "Vault", "vault", outside.proxies, context=context)
        how = ("address", "namespace", "ca", "auth", "mount", "role", "role_id", "secret_id", "jwt")
        self._key: Final = ("vault", self._address, self._namespace, *(self._settings.get(name) for name in how))

    async def read(self) -> Fetched:
        path = self._settings["path"]
        query = f"?version={self._settings['version']}" if "version" in self._settings else ""
        token = await self._token()
        answer = await self._call("GET", f"{quote(path)}{query}", _text(token))
        if answer.status != 200:
            raise self._refused(answer, path)
        data = answer.at("data")
        if isinstance(data, dict) and "/data/" in path and isinstance(data.get("metadata"), dict):
            data = data.get("data")  # KV version 2: the fields are one level down, beside when and by whom
        if not isinstance(data, dict):
            raise self._service.failure(f"answered without data for {path}")
        lease = answer.at("lease_id")
        if not lease:
            return Fetched(fields_of(data))
        return self._leased(fields_of(data), str(lease), answer, token, _seconds(answer.at("lease_duration")))

    def _leased(
        self, values: Mapping[str, bytes], lease: str, answer: Answer, token: Fetched, first: float | None
    ) -> Fetched:
        seconds = _seconds(answer.at("lease_duration"))
        bounds = [bound for bound in (seconds, token.lifetime) if bound is not None]

        async def renew() -> Fetched:
            now = await self._token()
            if now.value != token.value:
                raise self._service.failure("ends the lease with the token that it was made with")
            again = await self._call("POST", "sys/leases/renew", _text(now), {"lease_id": lease, "increment": first})
            if again.status != 200 or (_seconds(again.at("lease_duration")) or 0.0) < (first or 0.0) * WORTH_RENEWING:
                raise self._service.failure("does not renew the lease any further")
            return self._leased(values, lease, again, now, first)

        return Fetched(values, min(bounds, default=None), renew if answer.at("renewable") is True else None)

    async def _call(self, method: str, path: str, token: str, body: Any = None) -> Answer:
        headers = {"x-vault-request": "true"}
        if token:
            headers["x-vault-token"] = token
        if self._namespace:
            headers["x-vault-namespace"] = self._namespace
        answer = await self._service.ask(method, f"{self._address}/v1/{path}", headers=headers, json=body)
        if answer.status == 403 and token:
            self._outside.forget(self._key)  # the token may have ended: the next try logs in anew
        return answer

    def _refused(self, answer: Answer, path: str) -> SecretUnavailable:
        match answer.status:
            case 403:
                reason = f"denies reading {path}"
                hint = "Is the token still good, and does one of its policies allow it? `vault token lookup` tells."
            case 404:
                reason = f"has nothing at {path}"
                hint = "With version 2 of the KV engine there is data/ after the mount: secret/data/dev/github."
            case 503:
                reason, hint = "is sealed or in maintenance", "`vault status` tells."
            case status:
                reason, hint = f"answered with status {status} for {path}", ""
        return self._service.failure(reason, hint)

    async def _token(self) -> Fetched:
        login = self._own_token if self._auth == "token" else self._login
        return await self._outside.share(self._service.secret, self._key, login)

    async def _own_token(self) -> Fetched:
        """The person's: what Vault says of it is how long it is good, and whether it can be renewed."""
        token = self._outside.environment.get("VAULT_TOKEN") or self._token_file()
        answer = await self._call("GET", "auth/token/lookup-self", token)
        seconds = _seconds(answer.at("data", "ttl")) if answer.status == 200 else None
        if seconds is None:  # one without an end, or one that may not ask about itself
            return Fetched(token.encode(), TOKEN_CHECK)
        renewable = answer.at("data", "renewable") is True
        return Fetched(token.encode(), seconds, self._renewal(token, seconds) if renewable else None)

    def _token_file(self) -> str:
        """``~/.vault-token``, where ``vault login`` puts it."""
        home = self._outside.environment.get("HOME", "")
        file = Path(home) / ".vault-token"
        text = self._content(file) if home and file.exists() else ""
        if not text:
            raise self._service.failure(
                "needs a token, and there is none in $VAULT_TOKEN or ~/.vault-token",
                hint="`vault login`, or `auth: approle` or `auth: kubernetes` in the policy.",
            )
        return text

    def _content(self, file: Path) -> str:
        try:
            with file.open("rb") as opened:
                return opened.read(MAX_TOKEN).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise self._service.failure(f"needs {file}, which cannot be read: {reason}") from None

    async def _login(self) -> Fetched:
        """A token of our own. AppRole: role_id and secret_id; Kubernetes: a role, and the pod's token."""
        mount = quote(self._settings.get("mount", self._auth))
        answer = await self._call("POST", f"auth/{mount}/login", "", await self._credentials())
        if answer.status != 200:
            raise self._service.failure(f"refuses the log-in by {self._auth} (status {answer.status})")
        token, seconds = answer.text("auth", "client_token"), _seconds(answer.at("auth", "lease_duration"))
        renewable = answer.at("auth", "renewable") is True and seconds is not None
        return Fetched(token.encode(), seconds, self._renewal(token, seconds or 0.0) if renewable else None)

    async def _credentials(self) -> dict[str, str]:
        if self._auth == "kubernetes":
            file = self._settings.get("jwt", POD_TOKEN)
            return {"role": self._settings["role"], "jwt": self._content(file)}
        given = {name: self._settings[name] for name in ("role_id", "secret_id") if name in self._settings}
        return {
            name: (await self._outside.secret(secret)).reveal().decode("utf-8", "replace")
            for name, secret in given.items()
        }

    def _renewal(self, token: str, first: float) -> Any:
        async def renew() -> Fetched:
            answer = await self._call("POST", "auth/token/renew-self", token, {})
            seconds = _seconds(answer.at("auth", "lease_duration")) if answer.status == 200 else None
            if seconds is None or seconds < first * WORTH_RENEWING:
                raise self._service.failure("does not renew the token any further")
            return Fetched(token.encode(), seconds, self._renewal(token, first))

        return renew


def _text(token: Fetched) -> str:
    assert isinstance(token.value, bytes), "a token is one value"
    return token.value.decode()


def _seconds(found: Any) -> float | None:
    """A duration; Vault says 0 for what has no end."""
    return float(found) if isinstance(found, int | float) and found > 0 else None
