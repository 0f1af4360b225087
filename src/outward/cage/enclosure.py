"""The namespaces of a cage, which can be begun before it is known what shall be in it."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from typing import Final, Self

from outward import kernel
from outward.cage.handing import explain, take
from outward.cage.inside import make
from outward.cage.sockets import Sockets
from outward.cage.sweeper import Sweeper


class Enclosure:
    """A user and a network namespace of it, whose only reachable endpoints are ``sockets``, which live out here.

    ``open`` forks a child that makes them meanwhile, and which is over once :meth:`ready` gives them. Call it from the thread
    that stays until the end, before any other thread exists. Leaving the context closes every descriptor; what has entered
    the namespaces and is still there then is killed, as it is at the end of this process, however that comes.
    """

    def __init__(self, maker: int, control: socket.socket, sweeper: Sweeper) -> None:
        self.sockets = Sockets()
        self._maker = maker
        self._control: Final = control
        self._sweeper: Final = sweeper
        self._namespaces: tuple[int, ...] = ()

    @classmethod
    def open(cls) -> Self:
        """Begins. Raises :class:`OSError` where there may be no more processes or descriptors."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        owner, watcher = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            make(theirs, watcher, parent)
        theirs.close()
        watcher.close()
        return cls(pid, ours, Sweeper(owner))

    def ready(self) -> None:
        """Waits until it can be entered. Raises :class:`HostError` with the way out where the machine does not allow it."""
        if self._namespaces:
            return
        try:
            self.sockets, self._namespaces = take(self._control)
            self._sweeper.watch(self._namespaces[-1])
        except ConnectionError as error:  # one of the two was killed
            raise explain(b"") from error
        self._reap()

    def enter(self) -> None:
        """In a forked child, once it is ready: moves it inside, where it has none of the sockets. Raises :class:`OSError`."""
        self.sockets.close()
        user, network = self._namespaces
        kernel.join(user, kernel.CLONE_NEWUSER)
        kernel.join(network, kernel.CLONE_NEWNET)

    def close(self) -> None:
        """Ends what makes it, and lets what is in it be ended."""
        self._control.close()
        self.sockets.close()
        for namespace in self._namespaces:
            os.close(namespace)
        self._namespaces = ()
        if self._maker:
            with suppress(ProcessLookupError):
                os.kill(self._maker, signal.SIGKILL)
            self._reap()
        self._sweeper.close()

    def _reap(self) -> None:
        os.waitpid(self._maker, 0)
        self._maker = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
