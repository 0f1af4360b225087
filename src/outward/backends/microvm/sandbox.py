"""A command in a machine."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from outward.backends.microvm.guest import FAILURES
from outward.core import HostError

if TYPE_CHECKING:
    import socket

    from outward.backends.protocol import Sandbox
    from outward.backends.relays import Relays
    from outward.cage import Sockets

_ANEW: Final = "Make the kernel anew: outward image kernel."
_MOST: Final = 4096
"""Octets that are listened to: what the machine says takes less than a hundred, and whoever has taken it over may say more."""
_ENDED: Final = re.compile(rb"^ended (\d{1,3})$", re.MULTILINE)
_FAILED: Final = re.compile(rb"^failed ([a-z]+)$", re.MULTILINE)


class MachineSandbox:
    """``outer`` is QEMU in the process sandbox. Over ``control`` the machine says what has become of the command, a line each
    (``started``, ``failed WHAT``, ``ended STATUS``), and takes signals, a number a line."""

    def __init__(self, outer: Sandbox, control: socket.socket, relays: Relays) -> None:
        self._outer: Final = outer
        self._control: Final = control
        self._relays: Final = relays
        self._said = b""
        control.setblocking(False)

    @property
    def sockets(self) -> Sockets:
        """See :class:`~outward.backends.protocol.Sandbox`, as for all of these."""
        return self._outer.sockets

    @property
    def over(self) -> bool:
        """The machine is switched off when its command has ended."""
        return self._outer.over

    @property
    def entrance(self) -> None:
        """The view is not where the command sees it."""

    def fileno(self) -> int:
        """QEMU's launcher."""
        return self._outer.fileno()

    def signal(self, number: int) -> bool:
        """The machine's first process passes it on to the command's process group."""
        self._listen()
        if b"started\n" not in self._said:
            return False
        with suppress(OSError):  # it has just ended
            self._control.send(b"%d\n" % number)
        return True

    def kill(self) -> None:
        """Switches it off."""
        self._outer.kill()

    def wait(self) -> int | None:
        """What the machine said; one that was killed said nothing. Raises :class:`HostError` where it could not begin."""
        outer = self._outer.wait()
        self._listen()
        self._relays.finish()
        if ended := _ENDED.search(self._said):
            return min(int(ended[1]), 255)
        failed = _FAILED.search(self._said)
        if failed and (what := FAILURES.get(failed[1].decode())):
            raise HostError(f"the machine did not start: {what}", hint=_ANEW)
        return (outer or 125) if b"started\n" in self._said else None

    def _listen(self) -> None:
        with suppress(OSError):  # nothing yet, or the end
            while len(self._said) < _MOST and (chunk := self._control.recv(_MOST - len(self._said))):
                self._said += chunk
