"""What a cage starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Command(NamedTuple):
    """A program to start inside the cage, with an empty environment.

    ``argv[0]`` is an absolute path. ``stdio`` are the descriptors that become 0, 1 and 2; ``inherit`` are further ones that
    stay open under their own numbers. Everything else is closed. ``terminal`` makes ``stdio[0]`` its controlling terminal.
    ``prepare`` is called inside before it starts, with every
    capability over the namespaces; an :class:`OSError` of it means that the command is not started.
    """

    argv: tuple[str, ...]
    stdio: tuple[int, int, int] = (0, 1, 2)
    inherit: tuple[int, ...] = ()
    prepare: Callable[[], None] | None = None
    terminal: bool = False
