"""What a caller of ``outward run`` may decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from outward.agents import Profile
    from outward.core import CallerProxies
    from outward.policy import Policy


class Options(NamedTuple):
    """``agent`` is the identity in the policy and the journal, and names the home. ``environment``, ``proxies`` and ``home``
    are the caller's. ``state`` is the state directory; ``config`` is where the user's policy lives. ``timeout`` is in seconds.
    ``terminal`` says that standard input and output are a terminal, which the command then gets one of its own for.
    ``backend`` is a name in the policy's words, ``image`` what it shows in place of the host's programs,
    ``runtime`` which one of the engine's runs the command.
    ``strict`` refuses to run where a limit cannot be held. ``debug`` tells of each record of the journal.
    """

    command: tuple[str, ...]
    policy: Policy
    profile: Profile
    agent: str
    workspace: Path
    mode: str
    state: Path
    config: Path
    home: Path
    environment: Mapping[str, str]
    proxies: CallerProxies
    timeout: float | None
    terminal: bool
    strict: bool = False
    backend: str = "bubblewrap"
    image: str | None = None
    runtime: str | None = None
    debug: bool = False
