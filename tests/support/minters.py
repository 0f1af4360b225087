"""Stand-ins for services that make short-lived credentials: they check what the documented ones check.

Signatures and claims of assertions are verified by google-auth, which had no part in making them.
"""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from tests.support.keepers import Keeper, Reply

if TYPE_CHECKING:
    from tests.support.upstream import Seen


class Key:
    """An RSA key pair."""

    def __init__(self) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
        self.public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def form_of(seen: Seen) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(seen.body.decode(), strict_parsing=True).items()}


def claims_of(token: str, key: Key, audience: str | None = None) -> dict[str, Any] | None:
    """The claims, if the signature, the times and the audience are right."""
    try:
        return dict(jwt.decode(token, certs=key.public, audience=audience))
    except (ValueError, exceptions.GoogleAuthError):
        return None


class TokenService(Keeper):
    """RFC 6749 §2.3.1, §4.4, §5 and §6. Each refresh token is good once, as RFC 9700 §4.14.2 has it, if it ``rotates``."""

    def __init__(self) -> None:
        super().__init__()
        self.refresh_token = "rt-test-0"
        self.rotates = True
        self.made = 0
        self.clients: dict[str, str | None] = {"client 1": "client:secret/1", "public": None}
        self.scopes = {"read", "write"}
        self.extra: dict[str, Any] = {"expires_in": 3600}

    def _client(self, seen: Seen, form: dict[str, str]) -> str | None:
        """Who asks, in exactly one of both ways."""
        basic = seen.all("authorization")
        if basic:
            name, _, secret = b64decode(basic[0].removeprefix("Basic ")).decode().partition(":")
            if "client_id" in form or "client_secret" in form:
                return None
            name, given = unquote_plus(name), unquote_plus(secret)
        else:
            name, given = form.get("client_id", ""), form.get("client_secret", "")
        return name if name in self.clients and given == (self.clients[name] or "") else None

    def reply(self, seen: Seen) -> Reply:
        form = form_of(seen)
        client = self._client(seen, form)
        if (seen.method, seen.target) != ("POST", "/oauth/token"):
            return 404, {}
        if client is None:
            return 401, {"error": "invalid_client", "error_description": "sk-leak"}
        if not set(form.get("scope", "").split()) <= self.scopes:
            return 400, {"error": "invalid_scope"}
        answer: dict[str, Any] = {"token_type": "Bearer", **self.extra}
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != self.refresh_token:
                return 400, {"error": "invalid_grant", "error_description": "sk-leak"}
            if self.rotates:
                self.refresh_token = answer["refresh_token"] = f"rt-test-{self.made + 1}"
        elif form["grant_type"] != "client_credentials" or self.clients[client] is None:
            return 400, {"error": "unauthorized_client"}
        self.made += 1
        return 200, {"access_token": f"at-test-{self.made}", **answer}


class GitHub(Keeper):
    """https://docs.github.com/rest/apps/apps, with the rules for assertions of generating-a-json-web-token-jwt."""

    def __init__(self, key: Key, prefix: str = "") -> None:
        super().__init__()
        self.key, self.prefix = key, prefix
        self.installed = {"acme/web": 77}
        self.repositories = {"web", "api"}
        self.permissions = {"contents": "write", "issues": "write"}
        self.expires_at = ""
        self.wanted: list[dict[str, Any]] = []

    def reply(self, seen: Seen) -> Reply:
        claims = claims_of(seen["authorization"].removeprefix("Bearer "), self.key)
        if claims is None or claims["iss"] != "4711" or claims["exp"] - claims["iat"] > 600:
            return 401, {"message": "A JSON web token could not be decoded sk-leak"}
        if not seen.target.startswith(self.prefix):
            return 404, {}
        path = seen.target.removeprefix(self.prefix)
        if seen.method == "GET":
            found = self.installed.get(path.removeprefix("/repos/").removesuffix("/installation"))
            return (200, {"id": found}) if found else (404, {"message": "Not Found"})
        if path not in {f"/app/installations/{number}/access_tokens" for number in self.installed.values()}:
            return 404, {"message": "Not Found"}
        wanted = json.loads(seen.body)
        if not set(wanted.get("repositories", ())) <= self.repositories:
            return 422, {"message": "sk-leak"}
        levels = {"write": ("read", "write"), "read": ("read",)}
        given = {name: levels[level] for name, level in self.permissions.items()}
        if any(level not in given.get(name, ()) for name, level in wanted.get("permissions", {}).items()):
            return 422, {"message": "The permissions requested are not granted to this installation."}
        self.wanted.append(wanted)
        return 201, {"token": f"ghs_test{len(self.wanted)}", "expires_at": self.expires_at, **wanted}


class Google(Keeper):
    """The token endpoint for service accounts (RFC 7523), and iamcredentials' generateAccessToken."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.key = key
        self.tokens: dict[str, str] = {}
        self.impersonated = {"ci@acme.iam.gserviceaccount.com"}
        self.lifetime = "3600s"

    def reply(self, seen: Seen) -> Reply:
        path = urlsplit(seen.target).path
        if path == "/token":
            form = form_of(seen)
            claims = claims_of(form["assertion"], self.key, "https://oauth2.googleapis.com/token")
            if claims is None or claims["iss"] != "agent@acme.iam.gserviceaccount.com":
                return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature. sk-leak"}
            if jwt.decode_header(form["assertion"])["kid"] != "key-1":
                return 400, {"error": "invalid_grant"}
            token = f"ya29.test-{len(self.tokens)}"
            self.tokens[token] = claims["scope"]
            return 200, {"access_token": token, "expires_in": claims["exp"] - claims["iat"], "token_type": "Bearer"}
        scope = self.tokens.get(seen["authorization"].removeprefix("Bearer "))
        if scope != "https://www.googleapis.com/auth/cloud-platform":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        account = path.removeprefix("/v1/projects/-/serviceAccounts/").removesuffix(":generateAccessToken")
        wanted = json.loads(seen.body)
        if account not in self.impersonated:
            return 403, {"error": {"status": "PERMISSION_DENIED", "message": "sk-leak"}}
        if wanted["lifetime"] != self.lifetime or not wanted["scope"]:
            return 400, {"error": {"status": "INVALID_ARGUMENT"}}
        later = datetime.now(UTC).timestamp() + float(self.lifetime[:-1])
        moment = datetime.fromtimestamp(later, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, {
            "accessToken": f"ya29.impersonated:{' '.join(wanted['scope'])}".replace(" ", "+"),
            "expireTime": moment,
        }
