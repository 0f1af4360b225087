"""Netlink messages, and a socket to send them by (netlink(7), linux/netlink.h).

Numbers are in the machine's own order except where a protocol says otherwise; messages and attributes begin at multiples of
four octets.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, Self

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUTE: Final = 0  # NETLINK_ROUTE
NETFILTER: Final = 12  # NETLINK_NETFILTER

REQUEST: Final = 0x1  # NLM_F_REQUEST
ACKNOWLEDGE: Final = 0x4  # NLM_F_ACK
REPLACE: Final = 0x100  # NLM_F_REPLACE
EXCLUSIVE: Final = 0x200  # NLM_F_EXCL
CREATE: Final = 0x400  # NLM_F_CREATE
APPEND: Final = 0x800  # NLM_F_APPEND

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, kind, flags, sequence, port
_ERROR: Final = 2  # NLMSG_ERROR, which an acknowledgement is, too
_NESTED: Final = 0x8000  # NLA_F_NESTED
_ROOM: Final = 1 << 16


class Message(NamedTuple):
    """A request of ``kind``. ``what`` says what it is for, where the kernel refuses it."""

    kind: int
    payload: bytes
    what: str
    flags: int = 0


class Refused(OSError):
    """The kernel did not do it. ``what`` is the message's."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(code, f"{what}: {os.strerror(code)}")
        self.what = what


def attribute(kind: int, payload: bytes) -> bytes:
    """An attribute (``struct nlattr``), padded."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that consists of attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def encoded(messages: Sequence[Message], first: int = 0) -> bytes:
    """``messages`` as one datagram, numbered from ``first`` on."""
    return b"".join(
        _HEADER.pack(_HEADER.size + len(each.payload), each.kind, each.flags | REQUEST, number, 0) + each.payload
        for number, each in enumerate(messages, first)
    )


class Netlink:
    """A netlink socket of one protocol. A context manager. Raises :class:`OSError` where the kernel lacks the protocol."""

    def __init__(self, protocol: int) -> None:
        self._socket: Final = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.bind((0, 0))
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, messages: Sequence[Message]) -> None:
        """Sends ``messages`` as one datagram; returns when the kernel has done each that asks to be acknowledged.

        The kernel works while we send: all it has to say is there afterwards. Raises :class:`Refused` with the first that it
        refused, and with ``EPROTO`` where one was not answered at all.
        """
        first, self._asked = self._asked, self._asked + len(messages)
        self._socket.send(encoded(messages, first))
        waiting = {number for number, each in enumerate(messages) if each.flags & ACKNOWLEDGE}
        while waiting:
            try:
                answer = self._socket.recv(_ROOM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                raise Refused(errno.EPROTO, messages[min(waiting)].what) from None
            for sequence, code in _errors(answer):
                number = sequence - first
                if code and 0 <= number < len(messages):  # others are about what was asked before, and failed
                    raise Refused(code, messages[number].what)
                waiting.discard(number)


def _errors(answer: bytes) -> list[tuple[int, int]]:
    """The sequence number and the error, 0 for none, of each acknowledgement in a datagram."""
    found, at = [], 0
    while at + _HEADER.size <= len(answer):
        length, kind, _, sequence, _ = _HEADER.unpack_from(answer, at)
        if kind == _ERROR:
            found.append((sequence, -struct.unpack_from("=i", answer, at + _HEADER.size)[0]))
        at += max(length + 3 & ~3, _HEADER.size)
    return found
