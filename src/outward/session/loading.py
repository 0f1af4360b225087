"""Loads the gateway while the sandbox is being built.

Its modules come one after the other, and before each there is a look: a command that is over by then, and left nothing for the
gateway to do, does not wait for the rest of them. Whatever is dialled meanwhile waits in the listeners' queues.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class Running(Protocol):
    """A sandbox, of which only this is asked."""

    @property
    def over(self) -> bool:
        """Whether its command has ended and nothing that it sent waits to be taken."""


def load_gateway(sandbox: Running) -> bool:
    """Whether it was loaded; otherwise the command ended before, and there is nothing to serve.

    Then some of its modules are there and others are not: it is not to be loaded again.
    """
    look = _Look(sandbox)
    sys.meta_path.insert(0, look)
    try:
        import_module("outward.session.serving")
    except _Over:
        return False
    finally:
        sys.meta_path.remove(look)
    return True


class _Over(BaseException):
    """Nobody may take it for a module that is missing."""


class _Look:
    """Finds no module (:class:`importlib.abc.MetaPathFinder`), but is asked for each."""

    def __init__(self, sandbox: Running) -> None:
        self._sandbox: Final = sandbox

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raises :class:`_Over`, or leaves it to the next."""
        if self._sandbox.over:
            raise _Over
