"""DNS messages: questions that can be read in exactly one way, and answers to them (RFC 1035 §4, RFC 6891). Without I/O."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from outward.core.records import NamedTuple

A: Final = 1
AAAA: Final = 28
_OPT: Final = 41
_INTERNET: Final = 1

_TYPES: Final = {
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    33: "SRV",
    64: "SVCB",
    65: "HTTPS",
    255: "ANY",
}

TTL: Final = 60
"""Seconds for which an answer may be kept. Who keeps it longer still gets to the name, while it is in use."""

MAX_DATAGRAM: Final = 4096
"""Octets of a question over UDP. The longest that makes sense is far shorter; padding (RFC 7830) is let pass."""

_HEADER: Final = struct.Struct("!6H")
_RESPONSE, _OPCODE, _TRUNCATED, _DESIRED, _AVAILABLE, _CHECKING = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080, 0x0010
_POINTER: Final = b"\xc0\x0c"  # the name in the question (RFC 1035 §4.1.4)
_MAX_NAME: Final = 255
_MAX_LABEL: Final = 63
_EDNS: Final = b"\0" + struct.pack("!HHIH", _OPT, 1232, 0, 0)
_BAD_VERSION: Final = b"\0" + struct.pack("!HHIH", _OPT, 1232, 1 << 24, 0)  # RFC 6891 §6.1.3: 16, its upper half


class Outcome(IntEnum):
    """What an answer says (RFC 1035 §4.1.1, RCODE)."""

    FOUND = 0
    MALFORMED = 1
    FAILED = 2
    NO_SUCH_NAME = 3
    NOT_IMPLEMENTED = 4
    REFUSED = 5


class Question(NamedTuple):
    """One question. ``name`` is as sent, in Latin-1, without the final dot; ``kind`` the type of record that is asked for."""

    number: int
    flags: int
    name: str
    kind: int
    section: bytes
    edns: bool

    @property
    def kind_name(self) -> str:
        """The type's name, as far as anybody has heard of it."""
        return {A: "A", AAAA: "AAAA"}.get(self.kind) or _TYPES.get(self.kind, f"TYPE{self.kind}")

    def answer(self, outcome: Outcome, address: bytes | None = None) -> bytes:
        """The answer; with ``address``, in octets, as the one record that was asked for."""
        record = b"" if address is None else _POINTER + struct.pack("!HHIH", self.kind, 1, TTL, len(address)) + address
        flags = _reply_flags(self.flags, outcome)
        header = _HEADER.pack(self.number, flags, 1, 1 if record else 0, 0, 1 if self.edns else 0)
        return header + self.section + record + (_EDNS if self.edns else b"")


class Unreadable(ValueError):
    """Not a question that can be answered. ``answer`` is what is said to it, nothing where that could begin a conversation
    between two servers.
    """

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer


def parse_question(data: bytes) -> Question:
    """The question in a message. Raises :class:`Unreadable`.

    Strict: one question, of class IN, without compression; nothing else but an OPT record; nothing behind it.
    """
    if len(data) < _HEADER.size:
        raise Unreadable("shorter than a header")
    number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    if flags & _RESPONSE:
        raise Unreadable("an answer, not a question")
    if flags & _OPCODE:
        raise _unreadable(number, flags, "not a query", Outcome.NOT_IMPLEMENTED)
    if flags & _TRUNCATED or (questions, answers, authorities) != (1, 0, 0) or additional > 1:
        raise _unreadable(number, flags, "not one question")
    try:
        name, end = _name(data, _HEADER.size)
        kind, kin = struct.unpack_from("!HH", data, end)
        edns = _edns(data, end + 4) if additional else None
    except (struct.error, IndexError):
        raise _unreadable(number, flags, "cut short") from None
    except ValueError as error:
        raise _unreadable(number, flags, str(error)) from None
    if edns is None and len(data) != end + 4:
        raise _unreadable(number, flags, "octets after the question")
    question = Question(number, flags, name, kind, data[_HEADER.size : end + 4], edns is not None)
    if edns:
        header = _HEADER.pack(number, _reply_flags(flags, Outcome.FOUND), 1, 0, 0, 1)
        raise Unreadable("a version of EDNS that is not known", header + question.section + _BAD_VERSION)
    if kin != _INTERNET:
        raise Unreadable("a class other than IN", question.answer(Outcome.REFUSED))
    return question


def refusal(data: bytes) -> bytes:
    """What is said to a message that is not looked into; nothing to what is no question."""
    if len(data) < _HEADER.size:
        return b""
    number, flags, *_ = _HEADER.unpack_from(data)
    return b"" if flags & _RESPONSE else _HEADER.pack(number, _reply_flags(flags, Outcome.REFUSED), 0, 0, 0, 0)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name that begins at ``at``, and where it ends (RFC 1035 §3.1)."""
    labels = []
    while length := data[at]:
        if length > _MAX_LABEL:
            raise ValueError("a name that points elsewhere")
        label = data[at + 1 : at + 1 + length]
        if len(label) < length:
            raise IndexError
        if b"." in label:
            raise ValueError("a dot within a label")
        labels.append(label)
        at += 1 + length
    if sum(map(len, labels)) + len(labels) + 1 > _MAX_NAME:
        raise ValueError("a name that is too long")
    return b".".join(labels).decode("latin-1"), at + 1


def _edns(data: bytes, at: int) -> int:
    """The version in the OPT record that ends the message (RFC 6891 §6.1.2). Its options mean nothing to us."""
    root, kind, _, _, version, _, length = struct.unpack_from("!BHHBBHH", data, at)
    if root or kind != _OPT:
        raise ValueError("a record other than OPT")
    if len(data) != at + 11 + length:
        raise ValueError("octets after the last record")
    return int(version)


def _unreadable(number: int, flags: int, reason: str, outcome: Outcome = Outcome.MALFORMED) -> Unreadable:
    """Answered with a header alone: what could not be read is not repeated."""
    return Unreadable(reason, _HEADER.pack(number, _reply_flags(flags, outcome), 0, 0, 0, 0))


def _reply_flags(flags: int, outcome: Outcome) -> int:
    return _RESPONSE | flags & (_OPCODE | _DESIRED | _CHECKING) | _AVAILABLE | outcome
