"""What a client that was not asked to says first: TLS, HTTP, or something else. Without I/O."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from outward.gateway.client_hello import HANDSHAKE

MAX_METHOD: Final = 32
"""Octets of a method. The longest that is registered has 17 (RFC 9110 §16.1)."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # RFC 9110 §5.6.2
_REQUEST_LINE: Final = re.compile(rb"%b{1,%d} [\x21-\xff]+ HTTP/[0-9]\.[0-9]\r?" % (_TOKEN, MAX_METHOD))
_BEGINNING: Final = re.compile(rb"(?:%b{1,%d}(?: (?:[\x21-\xff]+(?: [HTP/0-9.]*\r?)?)?)?)?" % (_TOKEN, MAX_METHOD))


class Speech(Enum):
    """The protocol that a connection begins with."""

    TLS = auto()
    HTTP = auto()
    OTHER = auto()


def recognise(data: bytes) -> Speech | None:
    """What ``data`` (at least one octet) is the beginning of; ``None`` while it may be HTTP and may be something else.

    SSH's greeting looks like a method up to its first space, so a whole request line has to be seen (RFC 9112 §3).
    """
    if data[0] == HANDSHAKE:
        return Speech.TLS
    line, ended, _ = data.lstrip(b"\r\n").partition(b"\n")  # empty lines before a request are skipped (RFC 9112 §2.2)
    if ended:
        return Speech.HTTP if _REQUEST_LINE.fullmatch(line) else Speech.OTHER
    return None if _BEGINNING.fullmatch(line) else Speech.OTHER
