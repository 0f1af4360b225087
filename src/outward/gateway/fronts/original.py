"""Where a connection was meant to go before the packet filter brought it to us. Linux only."""

from __future__ import annotations

import errno
import socket
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from outward.core.records import NamedTuple
from outward.gateway.address import plain

_ORIGINAL_DST: Final = 80
"""SO_ORIGINAL_DST (linux/netfilter_ipv4.h) and IP6T_SO_ORIGINAL_DST (linux/netfilter_ipv6/ip6_tables.h)."""

_SOCKADDR_IN: Final = 16
_SOCKADDR_IN6: Final = 28

_UNTRACKED: Final = frozenset({errno.ENOENT, errno.ENOPROTOOPT})
"""Connection tracking does not know the connection, or there is none: then nothing was translated."""


class Destination(NamedTuple):
    """An address in canonical form and a port. ``translated`` tells that the packet filter had changed them."""

    host: str
    port: int
    translated: bool


def original_destination(sock: socket.socket) -> Destination:
    """Where the client of an accepted TCP connection meant to go.

    Translated connections (``redirect``, ``dnat``) are known to connection tracking. Where every address is local (AnyIP) or
    the filter hands over without translating (``tproxy``), our own end has the address. Raises :class:`OSError`.
    """
    own = sock.getsockname()
    host, port = plain(ip_address(own[0])), own[1]
    found = _tracked(sock, of_ipv4=":" not in host)
    if found is None or found == (host, port):
        return Destination(host, port, translated=False)
    return Destination(*found, translated=True)


def _tracked(sock: socket.socket, *, of_ipv4: bool) -> tuple[str, int] | None:
    level, size = (socket.IPPROTO_IP, _SOCKADDR_IN) if of_ipv4 else (socket.IPPROTO_IPV6, _SOCKADDR_IN6)
    try:
        return parse_sockaddr(sock.getsockopt(level, _ORIGINAL_DST, size))
    except OSError as error:
        if error.errno in _UNTRACKED:
            return None
        raise


def parse_sockaddr(raw: bytes) -> tuple[str, int]:
    """Address and port of a ``sockaddr_in`` or ``sockaddr_in6`` (ip(7), ipv6(7)). Raises :class:`ValueError`."""
    family, port = int.from_bytes(raw[:2], sys.byteorder), int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET and len(raw) == _SOCKADDR_IN:
        return plain(IPv4Address(raw[4:8])), port
    if family == socket.AF_INET6 and len(raw) == _SOCKADDR_IN6:
        return plain(IPv6Address(raw[8:24])), port
    raise ValueError(f"a socket address of family {family} with {len(raw)} octets")
