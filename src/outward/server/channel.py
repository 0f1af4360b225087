"""What supervisor and worker say to each other: whole messages over a pair of sockets.

======== ========== ===========================================================================================
from     message    meaning
======== ========== ===========================================================================================
worker   READY      it accepts connections
worker   REPLACED   the policy that it was last sent is in force
worker   FAILED     it cannot go on; ``text`` says why
both     (closed)   the other process is gone
superv.  REPLACE    a policy to take over, in the file that comes along (:func:`write_change`)
superv.  STOP       drain and end; said again: at once
======== ========== ===========================================================================================
"""

from __future__ import annotations

import json
import os
import socket
from enum import Enum
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.policy import Sources

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT: Final = 500
"""Characters of a message's text; the rest is cut."""
_LONGEST: Final = 8192
"""Octets of a message. JSON in ASCII takes at most twelve for a character."""


class Kind(Enum):
    """See the table on top."""

    READY = "ready"
    REPLACED = "replaced"
    FAILED = "failed"
    REPLACE = "replace"
    STOP = "stop"


class Message(NamedTuple):
    """One message. The receiver owns the descriptor."""

    kind: Kind
    text: str = ""
    descriptor: int | None = None


class Channel:
    """One end. Never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock: Final = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends. Sequenced packets keep messages whole (unix(7))."""
        one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(two)

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()

    def send(self, message: Message) -> None:
        """Raises :class:`OSError` when the other side is gone or does not listen."""
        data = json.dumps([message.kind.value, message.text[:_TEXT]]).encode("ascii")
        socket.send_fds(self._sock, [data], [] if message.descriptor is None else [message.descriptor])

    def receive(self) -> Message | None:
        """The next message, ``None`` at the end. Raises :class:`BlockingIOError` when there is none yet."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, _LONGEST, 1)
        except ConnectionResetError:
            return None
        if not data:
            return None
        kind, text = json.loads(data)
        return Message(Kind(kind), text, descriptors[0] if descriptors else None)

    def close(self) -> None:
        """Harmless when closed already."""
        self._sock.close()


def memory_file(name: str, text: str = "") -> int:
    """A descriptor of a file that is on no disk."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        write_file(descriptor, text)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def write_file(descriptor: int, text: str) -> None:
    """Writes all of the text."""
    with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)


def read_file(descriptor: int) -> str:
    """All of a file from its beginning, whoever else has read it; the descriptor stays open and where it was."""
    size = os.fstat(descriptor).st_size
    data = b""
    while part := os.pread(descriptor, size - len(data), len(data)):
        data += part
    return data.decode("utf-8")


def write_change(sources: Sources, placeholders: Mapping[str, str]) -> int:
    """A descriptor of a file that holds a policy for :func:`read_change`, and the placeholders that all workers use."""
    return memory_file("policy", json.dumps({"sources": sources.to_json(), "placeholders": dict(placeholders)}))


def read_change(descriptor: int) -> tuple[Sources, dict[str, str]]:
    """What :func:`write_change` wrote."""
    change = json.loads(read_file(descriptor))
    return Sources.from_json(change["sources"]), change["placeholders"]
