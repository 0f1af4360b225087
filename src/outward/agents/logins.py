"""The files in which agents keep their log-ins: what in them is a token, and what else the agent needs of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from outward.agents.seeds import Seed, Seeding, plant
from outward.core import HostError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class LogIn(NamedTuple):
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


def remember(state: Path, agent: str, program: str, document: dict[str, Any]) -> None:
    """Keeps a log-in's document, as it may be known inside, for all homes that ``agent`` gets. Raises :class:`HostError`."""
    file = _kept(state, agent, program)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        plant(file.parent, [Seed(file.name, lambda _: document)], Seeding("", {}))
    except OSError as error:
        raise HostError(f"cannot make {file.parent}: {error.strerror}") from error


def bring_along(state: Path, agent: str, program: str, home: Path) -> None:
    """Gives a home the log-in that was brought for it, unless it has one: that may be newer."""
    log_in = LOG_INS.get(program)
    if log_in is None or os.path.lexists(home / log_in.path):
        return
    try:
        document = json.loads(_kept(state, agent, program).read_bytes())
    except (OSError, ValueError):
        return  # nobody has brought any
    plant(home, [Seed(log_in.path, lambda _: document)], Seeding("", {}))


def _kept(state: Path, agent: str, program: str) -> Path:
    return state / "log-ins" / agent / f"{program}.json"


def _at(document: object, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _put(document: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = value
