"""The files in which agents keep their log-ins: what in them is a token, and what else the agent needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LogIn:
    """``path`` is below the home, the same inside as outside. ``tokens`` are the secrets of the preset, by where each token
    stands in the JSON document; those without which there is no getting others come first. ``kept`` is what else comes along:
    nothing that is not named here does, for it may be a secret of something else.
    """

    path: str
    preset: str
    tokens: Mapping[tuple[str, ...], str]
    kept: frozenset[tuple[str, ...]]

    def found(self, document: object) -> dict[str, str]:
        """The tokens in a log-in's document, by secret. Raises :class:`HostError` where one is missing."""
        found = {name: _at(document, path) for path, name in self.tokens.items()}
        for path, name in self.tokens.items():
            if not isinstance(found[name], str) or not found[name]:
                raise HostError(
                    f"it holds no {'.'.join(path)}", hint="Log in there first, or log in inside the sandbox."
                )
        return found

    def inside(self, document: object, stand_ins: Mapping[str, str]) -> dict[str, Any]:
        """The document as it may be known inside."""
        made: dict[str, Any] = {}
        for path in sorted(self.kept):
            if (value := _at(document, path)) is not None:
                _put(made, path, value)
        for path, name in self.tokens.items():
            _put(made, path, stand_ins[name])
        return made


LOG_INS: Final[dict[str, LogIn]] = {
    # By the agent's name. Only files that the real program was seen to read may live here.
    "claude": LogIn(
        ".claude/.credentials.json",
        "claude-subscription",
        {("claudeAiOauth", "refreshToken"): "claude-refresh", ("claudeAiOauth", "accessToken"): "claude-access"},
        frozenset(
            ("claudeAiOauth", name)
            for name in ("expiresAt", "refreshTokenExpiresAt", "scopes", "subscriptionType", "rateLimitTier")
        ),
    ),
    "codex": LogIn(
        ".codex/auth.json",
        "codex-subscription",
        {
            ("tokens", "refresh_token"): "codex-refresh",
            ("tokens", "id_token"): "codex-id",
            ("tokens", "access_token"): "codex-access",
        },
        frozenset({("auth_mode",), ("last_refresh",), ("tokens", "account_id")}),
    ),
}


def _at(document: object, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _put(document: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = value
