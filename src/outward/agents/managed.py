"""Settings of an agent's program that come from the system, not from its home or its workspace.

The programs put them before everything that the agent, a repository or a home says, and inside they are files of a read-only
root: what is said here, nothing inside can take back.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from outward.cage import PORT
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Managed(NamedTuple):
    """A file of such settings, in JSON. ``content`` is given whether the sandbox lets the agent make one of its own."""

    path: str
    content: Callable[[bool], dict[str, Any]]


def managed_files(files: Iterable[Managed], *, nested: bool) -> Iterator[tuple[str, str]]:
    """Paths in the sandbox, and texts."""
    for file in files:
        yield file.path, json.dumps(file.content(nested), indent=2) + "\n"


def claude_code(nested: bool) -> dict[str, Any]:
    """Claude Code's own sandbox: off where it could not start; else on, and what is in it reaches our gateway alone.

    It may not leave commands outside of it then. Its ``/proc`` is ours, since the kernel gives it none that would show more.
    """
    if not nested:
        return {"sandbox": {"enabled": False}}
    return {
        "sandbox": {
            "enabled": True,
            "allowUnsandboxedCommands": False,
            "enableWeakerNestedSandbox": True,
            "network": {"httpProxyPort": PORT},
        }
    }
