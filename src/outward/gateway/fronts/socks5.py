"""SOCKS5's messages (RFC 1928, RFC 1929), octet by octet and without I/O.

Each parser is a generator that yields how many octets it wants next and is sent exactly these. Lengths stand before what
they are the length of, so nothing that follows a message is ever taken with it.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias, TypeVar

from outward.core import ClientError, canonical_host
from outward.core.records import NamedTuple

VERSION: Final = 5
NO_AUTHENTICATION: Final = 0
USERNAME_PASSWORD: Final = 2
NO_ACCEPTABLE_METHOD: Final = 0xFF

_LOGIN_VERSION: Final = 1  # of RFC 1929's own messages
_IPV4, _DOMAIN, _IPV6 = 1, 3, 4

T = TypeVar("T")
Steps: TypeAlias = Generator[int, bytes, T]


class Command(IntEnum):
    """RFC 1928 §4."""

    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class Reply(IntEnum):
    """RFC 1928 §6."""

    SUCCEEDED = 0
    FAILURE = 1
    NOT_ALLOWED = 2
    HOST_UNREACHABLE = 4
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8


class AddressTypeError(ClientError):
    """The request's address is of a kind that RFC 1928 does not know, so its end is not known either."""


class Login(NamedTuple):
    """What RFC 1929 carries, as it came."""

    name: bytes
    password: bytes


class Asked(NamedTuple):
    """A request. ``host`` is as it came; :meth:`target` is what to make of it."""

    command: int
    host: str
    port: int

    def target(self) -> tuple[str, int]:
        """The canonical host, and the port. Raises :class:`ClientError` for what CONNECT would not take either."""
        if not self.port:
            raise ClientError(f"{self.host!r} has no valid port")
        return canonical_host(self.host), self.port


def methods() -> Steps[frozenset[int]]:
    """The authentication methods that the client offers (RFC 1928 §3)."""
    version, count = yield 2
    if version != VERSION:
        raise ClientError(f"this listener speaks SOCKS5; the client began with the octet {version:#04x}")
    return frozenset((yield count))


def login() -> Steps[Login]:
    """Name and password (RFC 1929 §2)."""
    version, length = yield 2
    if version != _LOGIN_VERSION:
        raise ClientError(f"the log-in has version {version}, not {_LOGIN_VERSION}")
    name = yield length
    (length,) = yield 1
    return Login(name, (yield length))


def request() -> Steps[Asked]:
    """What is asked for (RFC 1928 §4). Raises :class:`AddressTypeError`, :class:`ClientError`."""
    version, command, reserved, kind = yield 4
    if version != VERSION or reserved:
        raise ClientError("this is not a SOCKS5 request")
    if kind == _IPV4:
        host = str(IPv4Address((yield 4)))
    elif kind == _IPV6:
        host = str(IPv6Address((yield 16)))
    elif kind == _DOMAIN:
        (length,) = yield 1
        host = _name((yield length))
    else:
        raise AddressTypeError(f"the address type {kind} is unknown")
    return Asked(command, host, int.from_bytes((yield 2), "big"))


def _name(raw: bytes) -> str:
    """Octets outside ASCII are nobody's name: what a resolver would make of them differs."""
    if not raw.isascii():
        raise ClientError(f"{raw!r} is not a host name")
    return raw.decode("ascii")


def chosen(method: int) -> bytes:
    """The method that the server takes, or :data:`NO_ACCEPTABLE_METHOD` (RFC 1928 §3)."""
    return bytes((VERSION, method))


def logged_in(*, success: bool) -> bytes:
    """The outcome of the log-in (RFC 1929 §2)."""
    return bytes((_LOGIN_VERSION, 0 if success else 1))


def reply(code: Reply) -> bytes:
    """The outcome of a request. The bound address is not the client's business: it is all zeros, as is usual."""
    return bytes((VERSION, code, 0, _IPV4)) + bytes(6)
