"""Loads the gateway while the sandbox is being built.

Its modules come one after the other: a command that is over by then, and left nothing for the gateway to do, does not wait for
the rest of them. Whatever is dialled meanwhile waits in the listeners' queues.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol

PIECES: Final = (
    # In the order in which they need each other. Each takes a few milliseconds more than those before it, the gateway's own
    # modules ten: what they bring that is not ours is named here.
    "logging",
    "concurrent.futures",
    "ssl",
    "asyncio",
    "uvloop",
    "hpack",
    "h2.events",
    "h2.connection",
    "outward.gateway",
    "outward.session.serving",
)


class Running(Protocol):
    """A sandbox, of which only this is asked."""

    @property
    def over(self) -> bool:
        """Whether its command has ended and nothing that it sent waits to be taken."""


def load_gateway(sandbox: Running) -> bool:
    """Whether it was loaded; otherwise the command ended before, and there is nothing to serve."""
    for piece in PIECES:
        if sandbox.over:
            return False
        import_module(piece)
    return True
