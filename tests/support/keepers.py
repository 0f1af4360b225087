"""Stand-ins for services that keep secrets: they answer as their documented HTTP API says, on loopback, in real TLS.

They are not the services: what is tested is that the documentation was read, not that it is true.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.support.upstream import Seen, Upstream, answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable

Reply = tuple[int, Any]


class Keeper:
    """A service. ``broken`` replaces every answer: by one given, or by what a function makes of the request."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.broken: Reply | Callable[[Seen], Reply] | None = None
        self.hangs = False

    async def serve(self, server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            self.seen.append(seen)
            if self.hangs:
                await asyncio.Event().wait()
            if self.broken is None:
                status, content = self.reply(seen)
            else:
                status, content = self.broken(seen) if callable(self.broken) else self.broken
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            where = "location: https://elsewhere.test/\r\n" if 300 <= status < 400 else ""
            writer.write(answer(status, body, f"content-type: application/json\r\n{where}"))
            await writer.drain()

    def reply(self, seen: Seen) -> Reply:
        raise NotImplementedError

    @property
    def asked(self) -> list[str]:
        return [f"{seen.method} {seen.target}" for seen in self.seen]


class Vault(Keeper):
    """https://developer.hashicorp.com/vault/api-docs: KV 1 and 2, a database engine with leases, tokens, log-ins."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, dict[str, Any]] = {}
        self.kv: dict[str, dict[str, Any]] = {"secret/data/dev/github": {"token": "ghp_test-1", "n": 5}}
        self.kv1 = {"kv/dev/github": {"token": "ghp_test-old"}}
        self.leases: dict[str, float] = {}
        self.lease_seconds: list[int] = []
        self.made = 0
        self.role_id, self.secret_id, self.jwt = "role-1", "secret-id-1", "jwt-1"
        self.token_seconds = 3600
        self.namespace: str | None = None

    def new_token(self, ttl: int, *, renewable: bool = True) -> str:
        token = f"hvs.test-{len(self.tokens)}"
        self.tokens[token] = {"ttl": ttl, "renewable": renewable}
        return token

    def reply(self, seen: Seen) -> Reply:
        parts = urlsplit(seen.target)
        path = parts.path.removeprefix("/v1/")
        body = json.loads(seen.body) if seen.body else {}
        if self.namespace is not None and seen.all("x-vault-namespace") != [self.namespace]:
            return 404, {"errors": []}
        if path.startswith("auth/") and path.endswith("/login"):
            return self._login(path.split("/")[1], body)
        (token,) = seen.all("x-vault-token") or [""]
        if token not in self.tokens:
            return 403, {"errors": ["permission denied", "sk-leak"]}
        return self._read(seen.method, path, token, body, dict(parse_qsl(parts.query)))

    def _login(self, mount: str, body: dict[str, Any]) -> Reply:
        good: dict[str, dict[str, Any]] = {
            "approle": {"role_id": self.role_id, "secret_id": self.secret_id},
            "k8s": {"role": "agents", "jwt": self.jwt},
        }
        if body != good.get(mount):
            return 400, {"errors": ["invalid role or secret ID"]}
        return 200, self._auth(self.new_token(self.token_seconds))

    def _auth(self, token: str) -> dict[str, Any]:
        known = self.tokens[token]
        auth = {"client_token": token, "lease_duration": known["ttl"], "renewable": known["renewable"]}
        return {"auth": auth, "lease_duration": 0}

    def _read(self, method: str, path: str, token: str, body: dict[str, Any], query: dict[str, str]) -> Reply:
        if path == "auth/token/lookup-self":
            return 200, {"data": {"ttl": self.tokens[token]["ttl"], "renewable": self.tokens[token]["renewable"]}}
        if path == "auth/token/renew-self" and method == "POST":
            return 200, self._auth(token)
        if path == "sys/leases/renew" and method == "POST":
            if body["lease_id"] not in self.leases:
                return 400, {"errors": ["lease not found"]}
            return 200, {"lease_id": body["lease_id"], "lease_duration": self.lease_seconds.pop(0), "renewable": True}
        if path == "database/creds/app":
            self.made += 1
            lease = f"database/creds/app/{self.made}"
            self.leases[lease] = 1
            seconds = self.lease_seconds.pop(0)
            data = {"username": f"user-{self.made}", "password": f"password-{self.made}"}
            return 200, {"lease_id": lease, "lease_duration": seconds, "renewable": True, "data": data}
        if path in self.kv and query.get("version", "2") == "2":
            versioned = {"data": self.kv[path], "metadata": {"version": 2, "destroyed": False}}
            return 200, {"lease_id": "", "lease_duration": 0, "renewable": False, "data": versioned}
        if path in self.kv1:
            return 200, {"lease_id": "", "lease_duration": 2764800, "renewable": False, "data": self.kv1[path]}
        return 404, {"errors": []}


class KeyVault(Keeper):
    """https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret, and the log-in that goes before it."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = {"/secrets/github": "ghp_test-azure", "/secrets/github/v1": "ghp_test-azure-1"}
        self.tokens = {"eyJ-test-azure"}
        self.secret = "client-secret-1"
        self.scope = "https://vault.azure.net/.default"

    def reply(self, seen: Seen) -> Reply:
        parts = urlsplit(seen.target)
        if parts.path == "/tenant-1/oauth2/v2.0/token":
            return self._token({key: value for key, (value,) in parse_qs(seen.body.decode()).items()})
        if parts.query != "api-version=7.4":
            return 400, {}
        if seen.all("authorization") not in [[f"Bearer {token}"] for token in self.tokens]:
            return 401, {"error": {"code": "Unauthorized"}}
        if parts.path not in self.secrets:
            return 404, {"error": {"code": "SecretNotFound"}}
        return 200, {"value": self.secrets[parts.path], "attributes": {"enabled": True}}

    def _token(self, form: dict[str, str]) -> Reply:
        assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        by_secret = form.get("client_secret") == self.secret
        by_assertion = (form.get("client_assertion_type"), form.get("client_assertion")) == (assertion, "federated-1")
        good = form["grant_type"] == "client_credentials" and form["client_id"] == "client-1"
        if not (good and form["scope"] == self.scope and (by_secret or by_assertion)):
            return 401, {"error": "invalid_client"}
        return 200, {"access_token": "eyJ-test-azure", "expires_in": 3599, "token_type": "Bearer"}


class SecretManager(Keeper):
    """https://cloud.google.com/secret-manager/docs/reference/rest, and the token service of an authorised user."""

    def __init__(self) -> None:
        super().__init__()
        self.values = {"/v1/projects/acme/secrets/github/versions/latest:access": "Z2hwX3Rlc3QtZ2Nw"}
        self.tokens = {"ya29.test-1"}
        self.refresh = "1//refresh-1"

    def reply(self, seen: Seen) -> Reply:
        if seen.target == "/token":
            form = {key: value for key, (value,) in parse_qs(seen.body.decode()).items()}
            if form.get("refresh_token") != self.refresh:
                return 400, {"error": "invalid_grant", "error_description": "sk-leak"}
            return 200, {"access_token": "ya29.test-1", "expires_in": 3599, "token_type": "Bearer"}
        if seen.all("authorization") not in [[f"Bearer {token}"] for token in self.tokens]:
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        if seen.target not in self.values:
            return 404, {"error": {"status": "NOT_FOUND"}}
        return 200, {"name": seen.target, "payload": {"data": self.values[seen.target], "dataCrc32c": "1"}}


class ApiServer(Keeper):
    """https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {"token-1"}
        self.data: Any = {"token": "Z2hwX3Rlc3QtazhzCg=="}

    def reply(self, seen: Seen) -> Reply:
        if seen.all("authorization") not in [[f"Bearer {token}"] for token in self.tokens]:
            return 401, {"kind": "Status", "code": 401}
        if seen.target != "/api/v1/namespaces/dev/secrets/github":
            return 404, {"kind": "Status", "code": 404}
        return 200, {"kind": "Secret", "apiVersion": "v1", "type": "Opaque", "data": self.data}
