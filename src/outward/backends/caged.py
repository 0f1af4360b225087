"""What is the same for all whose cage's child becomes the launcher of the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.cage import Cage, Sockets


class Launched:
    """A launcher in a cage; ``process`` is a pidfd of it. Everything in the sandbox ends with it."""

    def __init__(self, cage: Cage, process: int) -> None:
        self._cage: Final = cage
        self._process: Final = process

    @property
    def sockets(self) -> Sockets:
        """See :class:`~outward.backends.protocol.Sandbox`, as for all of these."""
        return self._cage.sockets

    @property
    def entrance(self) -> Callable[[], int | None] | None:
        """None, unless one says otherwise."""
        return None

    @property
    def over(self) -> bool:
        """The launcher is the last to end."""
        return self._cage.over

    def fileno(self) -> int:
        """The launcher's."""
        return self._process

    def kill(self) -> None:
        """The kernel kills the rest with the launcher and its children."""
        self._cage.kill()
