"""Which addresses may be dialled. Pure; the dialler asks about the very address that it is going to connect to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_REFUSED_V4: Final = (
    # Beyond what `is_global` knows: addresses that look public and are not.
    IPv4Network("168.63.129.16/32"),  # a cloud's metadata and agent service
    IPv4Network("192.88.99.0/24"),  # 6to4 relay anycast (RFC 7526)
)
_REFUSED_V6: Final = (
    IPv6Network("fec0::/10"),  # site-local, deprecated but routed by some (RFC 3879)
    IPv6Network("::/96"),  # IPv4-compatible, deprecated (RFC 4291 §2.5.5.1)
)
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215


def refusal(address: str) -> str | None:
    """Why ``address`` must not be dialled, or ``None`` if it is an ordinary public one.

    Private, loopback, link-local, multicast, shared (CGNAT), reserved and metadata ranges are refused, and the IPv4
    addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged as what they are.
    """
    parsed = ip_address(address)
    return _refusal_v6(parsed) if isinstance(parsed, IPv6Address) else _refusal_v4(parsed)


def _refusal_v4(address: IPv4Address) -> str | None:
    for name, is_in in (
        ("loopback", address.is_loopback),
        ("link-local or metadata", address.is_link_local),
        ("multicast", address.is_multicast),
        ("unspecified", address.is_unspecified),
        ("not public", not address.is_global),
        ("a cloud's internal service", any(address in network for network in _REFUSED_V4)),
    ):
        if is_in:
            return f"{address} is {name}"
    return None


def _refusal_v6(address: IPv6Address) -> str | None:
    embedded = _embedded_v4(address)
    if embedded is not None:
        inner = _refusal_v4(embedded)
        return f"{address} holds {inner}" if inner else None
    for name, is_in in (
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("multicast", address.is_multicast),
        ("unspecified", address.is_unspecified),
        ("not public", not address.is_global),
        ("deprecated", any(address in network for network in _REFUSED_V6)),
    ):
        if is_in:
            return f"{address} is {name}"
    return None


def _embedded_v4(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
