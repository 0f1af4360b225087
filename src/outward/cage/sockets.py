"""What is handed out of a cage."""

from __future__ import annotations

import os
import select
import socket
from typing import TYPE_CHECKING, Final, Self

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KINDS: Final = ("proxy", "transparent", "dns")


class Sockets(NamedTuple):
    """The sockets of a cage, by what is expected to be spoken there. All are bound inside; stream sockets listen.

    ``proxy`` gets HTTP that was meant for a proxy, ``transparent`` connections that were meant for somebody else; ``dns`` has
    datagram sockets and listening ones. Whoever has them keeps the cage's side of every connection alive: while one process
    holds them, what is dialled inside waits for a gateway; when nobody does, it is refused.
    """

    proxy: tuple[socket.socket, ...] = ()
    transparent: tuple[socket.socket, ...] = ()
    dns: tuple[socket.socket, ...] = ()

    @classmethod
    def from_descriptors(cls, kinds: Sequence[str], descriptors: Sequence[int]) -> Self:
        """Takes the descriptors over. Raises :class:`ValueError` where the two do not fit."""
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # as nothing that was opened here is
        found = [(kind, socket.socket(fileno=descriptor)) for kind, descriptor in zip(kinds, descriptors, strict=True)]
        return cls(*(tuple(sock for kind, sock in found if kind == name) for name in _KINDS))

    @property
    def kinds(self) -> list[str]:
        """The kind of each, in order."""
        return [name for name, group in zip(_KINDS, self, strict=True) for _ in group]

    @property
    def take_every_port(self) -> bool:
        """Whether connections to any port come here. Without a packet filter in the kernel there are listeners for a few."""
        return len({sock.getsockname()[1] for sock in self.transparent}) <= 1

    @property
    def waiting(self) -> bool:
        """Whether something has come to one of them that nobody has taken."""
        poll = select.poll()
        for sock in self.each():
            poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def each(self) -> Iterator[socket.socket]:
        """All of them, in the same order."""
        for group in self:
            yield from group

    def duplicate(self) -> Self:
        """The same sockets once more, for a gateway that may close its own: what it leaves waiting stays."""
        return type(self)(*(tuple(sock.dup() for sock in group) for group in self))

    def close(self) -> None:
        """Closes these descriptors."""
        for sock in self.each():
            sock.close()
