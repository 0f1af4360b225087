"""What a TLS ClientHello says before anybody answers it (RFC 8446 §4.1.2). Without I/O."""

from __future__ import annotations

from typing import Final

from outward.core import ClientError, canonical_host
from outward.core.records import NamedTuple

MAX_CLIENT_HELLO: Final = 32 * 1024
"""Octets; post-quantum key shares take a few kilobytes."""

HANDSHAKE: Final = 22
"""The record type that every TLS connection begins with; anything else is not TLS."""

_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_ALPN: Final = 16  # RFC 7301
_ENCRYPTED_CLIENT_HELLO: Final = 0xFE0D  # RFC 9849


class ClientHello(NamedTuple):
    """``sni`` is canonical, ``None`` if the client named no host. ``alpn`` are the protocols that it offers.

    ``encrypted`` tells that an inner hello may be hidden (ECH), or is pretended to be.
    """

    sni: str | None
    encrypted: bool
    alpn: tuple[bytes, ...] = ()


class _Reader:
    """Takes length-prefixed fields off octets; running out of them is the client's fault."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ClientError("the ClientHello is cut short")
        piece, self._at = self._data[self._at : end], end
        return piece

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def vector(self, octets: int) -> bytes:
        return self.take(self.number(octets))

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Parses the beginning of a TLS connection; ``None`` while more octets are needed.

    Raises :class:`ClientError` for what is not a ClientHello, for an extension that is there twice (RFC 8446 §4.2), and for a
    name that is not canonical.
    """
    message = _first_message(data)
    if message is None:
        return None
    reader = _Reader(message)
    reader.take(2 + 32)  # legacy_version, random
    reader.vector(1)  # legacy_session_id
    reader.vector(2)  # cipher_suites
    reader.vector(1)  # legacy_compression_methods
    extensions = _Reader(reader.vector(2)) if reader else _Reader(b"")
    found: dict[int, bytes] = {}
    while extensions:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind in found:
            raise ClientError("the ClientHello has an extension twice")
        found[kind] = body
    return ClientHello(
        _server_name(found[_SERVER_NAME]) if _SERVER_NAME in found else None,
        _ENCRYPTED_CLIENT_HELLO in found,
        _protocols(found[_ALPN]) if _ALPN in found else (),
    )


def _first_message(data: bytes) -> bytes | None:
    """The ClientHello's body, gathered from as many records as it was cut into (RFC 8446 §5.1)."""
    gathered, at = b"", 0
    while True:
        if data[at : at + 1] and data[at] != HANDSHAKE:
            raise ClientError("this is not TLS")
        if len(data) < at + 5:
            return None
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if not 0 < length <= 2**14:
            raise ClientError("a TLS record has an impossible length")
        gathered += data[at + 5 : at + 5 + length]
        if len(data) < at + 5 + length:
            return None
        if gathered[0] != _CLIENT_HELLO:
            raise ClientError("the first TLS message is not a ClientHello")
        if len(gathered) >= 4:
            size = int.from_bytes(gathered[1:4], "big")
            if size > MAX_CLIENT_HELLO:
                raise ClientError("the ClientHello is too large")
            if len(gathered) >= 4 + size:
                return gathered[4 : 4 + size]
        at += 5 + length


def _server_name(body: bytes) -> str:
    """RFC 6066 §3: a list with exactly one host_name."""
    names = _Reader(_Reader(body).vector(2))
    kind, name = names.number(1), names.vector(2)
    if kind != 0 or names:
        raise ClientError("the server name extension is malformed")
    try:
        return canonical_host(name.decode("ascii"))
    except UnicodeDecodeError:
        raise ClientError("the server name is not ASCII") from None


def _protocols(body: bytes) -> tuple[bytes, ...]:
    """RFC 7301 §3.1: the protocols that the client offers."""
    names = _Reader(_Reader(body).vector(2))
    found = []
    while names:
        found.append(names.vector(1))
    return tuple(found)
