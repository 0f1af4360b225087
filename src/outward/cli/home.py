"""Where state lives: ``$OUTWARD_HOME``, else ``~/.local/state/outward``; 0700, ours alone."""

from __future__ import annotations

import os
from pathlib import Path

from outward.core import HostError


def state_directory() -> Path:
    """The state directory, made if it is missing. Raises :class:`HostError` where others could write to it."""
    configured = os.environ.get("OUTWARD_HOME")
    root = Path(configured).expanduser() if configured else Path.home() / ".local" / "state" / "outward"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.stat()
    except OSError as error:
        raise HostError(
            f"cannot use the state directory {root}: {error.strerror}",
            hint="Set OUTWARD_HOME to one that you own.",
        ) from error
    if status.st_uid != os.getuid():
        raise HostError(f"the state directory {root} belongs to somebody else", hint="Set OUTWARD_HOME to your own.")
    if status.st_mode & 0o077:
        root.chmod(0o700)
    return root.resolve()
