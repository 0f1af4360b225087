"""The table of agents."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from outward.agents.managed import Managed, claude_code
from outward.agents.seeds import Seed
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.agents.seeds import Seeding


class Profile(NamedTuple):
    """One agent.

    ``commands`` are the names of its programs. ``preset`` is the policy that it gets when the user has none; with none of
    its own, everything is denied then. ``environment`` is set inside. ``managed`` are settings that nothing inside can change.
    """

    name: str
    commands: frozenset[str] = frozenset()
    preset: str | None = None
    environment: Mapping[str, str] = MappingProxyType({})
    seeds: tuple[Seed, ...] = ()
    managed: tuple[Managed, ...] = ()


def _claude(seeding: Seeding) -> dict[str, Any]:
    key = seeding.placeholders.get("ANTHROPIC_API_KEY")
    approved = {"customApiKeyResponses": {"approved": [key[-20:]], "rejected": []}} if key else {}
    trusted = {seeding.directory: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}}
    return {"hasCompletedOnboarding": True, "projects": trusted, **approved}


def _codex(seeding: Seeding) -> dict[str, Any]:
    key = seeding.placeholders.get("OPENAI_API_KEY") or seeding.placeholders.get("CODEX_API_KEY")
    return {"OPENAI_API_KEY": key} if key else {}


def _codex_settings(seeding: Seeding) -> dict[str, Any]:
    # Its own sandbox needs user namespaces, which do not exist in ours; it still asks before it runs something, if told to.
    trusted = {"projects": {seeding.directory: {"trust_level": "trusted"}}}
    return {"sandbox_mode": "danger-full-access", **trusted}


def _gemini(seeding: Seeding) -> dict[str, Any]:
    own = {"general": {"disableAutoUpdate": True}, "privacy": {"usageStatisticsEnabled": False}}
    by_key = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    return own | (by_key if "GEMINI_API_KEY" in seeding.placeholders else {})


PROFILES: Final[dict[str, Profile]] = {
    # Only what the real program documents, or was seen to need, may live here.
    profile.name: profile
    for profile in (
        Profile(
            "claude",
            commands=frozenset({"claude"}),
            preset="claude-code",
            environment={
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",  # no telemetry, error reports or feature flags
                "DISABLE_AUTOUPDATER": "1",  # its program is read-only in here
                "IS_SANDBOX": "1",  # --dangerously-skip-permissions is for sandboxes
            },
            seeds=(Seed(".claude.json", _claude),),
            managed=(Managed("/etc/claude-code/managed-settings.json", claude_code),),
        ),
        Profile(
            "codex",
            commands=frozenset({"codex"}),
            preset="codex",
            seeds=(Seed(".codex/auth.json", _codex), Seed(".codex/config.toml", _codex_settings)),
        ),
        Profile(
            "gemini",
            commands=frozenset({"gemini"}),
            preset="gemini-cli",
            environment={"SANDBOX": "outward"},  # it would look for a sandbox of its own otherwise
            seeds=(
                Seed(".gemini/settings.json", _gemini),
                Seed(".gemini/trustedFolders.json", lambda seeding: {seeding.directory: "TRUST_FOLDER"}),
            ),
        ),
        Profile("generic"),
    )
}


def profile_of(command: str) -> Profile:
    """The profile of the program ``command`` (a name or a path); ``generic`` for what is not known."""
    name = os.path.basename(command)  # noqa: PTH119 (start-up)
    return next((each for each in PROFILES.values() if name in each.commands), PROFILES["generic"])
