"""What is the same for all whose command a child of ours is, or is joined to, outside of any cage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.backends.child import Child
    from outward.cage import Sockets


class Attended:
    """A child of ours that ends when the command has ended, with its status."""

    def __init__(self, child: Child, sockets: Sockets) -> None:
        self._child: Final = child
        self._sockets: Final = sockets

    @property
    def sockets(self) -> Sockets:
        """See :class:`~outward.backends.protocol.Sandbox`, as for all of these."""
        return self._sockets

    @property
    def entrance(self) -> Callable[[], int | None] | None:
        """None, unless one says otherwise."""
        return None

    @property
    def over(self) -> bool:
        """The child is the last to end."""
        return self._child.over and not self._sockets.waiting

    def fileno(self) -> int:
        """The child's."""
        return self._child.process

    def wait(self) -> int | None:
        """Engines give the statuses that a shell would."""
        return self._child.wait()
