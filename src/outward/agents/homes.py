"""Where the homes of agents are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from outward.core.expressions import expression
from outward.core.fingerprint import fingerprint

_PLAIN: Final = expression(r"[^A-Za-z0-9._-]+", re.ASCII)


def home_of(state: Path, agent: str, project: str) -> Path:
    """The home of an agent in a project, by the project's absolute path.

    What one project made the agent write into its home (instructions, hooks, start-up files) does not wait for it in the next.
    """
    name = _PLAIN.sub("_", Path(project).name)[:40] or "root"
    return state / "homes" / agent / f"{name}-{fingerprint(project.encode(errors='surrogateescape'))[:12]}"
