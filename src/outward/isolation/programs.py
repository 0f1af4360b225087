"""The host's own tools, by which others are confined."""

from __future__ import annotations

import os
from typing import Final

SYSTEM_PATH: Final = "/usr/bin:/bin:/usr/local/bin"


def installed(name: str) -> str | None:
    """Where the program ``name`` is. Only the system's own directories are searched: what the agent could write to must not
    confine it."""
    candidates = (f"{directory}/{name}" for directory in SYSTEM_PATH.split(":"))
    return next((path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)), None)  # noqa: PTH113
