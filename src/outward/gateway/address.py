"""Which addresses may be dialled. Pure; the dialler asks about the very address that it is going to connect to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_REFUSED_V4: Final = tuple(
    # The IANA special-purpose registry (RFC 6890 and successors) and what clouds keep for themselves. A table of our own:
    # what the standard library calls global differs between versions.
    (IPv4Network(network), name)
    for network, name in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared between a carrier's customers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local or a cloud's metadata"),
        ("172.16.0.0/12", "private"),
        ("168.63.129.16/32", "a cloud's internal service"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
    )
)

_UNICAST_V6: Final = IPv6Network("2000::/3")  # all that IANA has given out; everything else is local or reserved

_REFUSED_V6: Final = tuple(
    # What is special inside global unicast. Addresses that carry an IPv4 address are judged by that one instead.
    (IPv6Network(network), name)
    for network, name in (
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
    )
)

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215


def refusal(address: str) -> str | None:
    """Why ``address`` must not be dialled, or ``None`` if it is an ordinary public one.

    The IPv4 addresses inside IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged as what they are.
    """
    parsed = ip_address(address)
    name = _name_v6(parsed) if isinstance(parsed, IPv6Address) else _name_v4(parsed)
    return f"{address} is {name}" if name else None


def _name_v4(address: IPv4Address) -> str | None:
    return next((name for network, name in _REFUSED_V4 if address in network), None)


def _name_v6(address: IPv6Address) -> str | None:
    embedded = _embedded_v4(address)
    if embedded is not None:
        return _name_v4(embedded)
    if address not in _UNICAST_V6:
        return "not a public unicast address"
    return next((name for network, name in _REFUSED_V6 if address in network), None)


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


def plain(address: IPv4Address | IPv6Address) -> str:
    """As :func:`outward.core.canonical_host` writes it: a mapped IPv4 address is what it is, and scopes are dropped."""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(address.packed))
    return str(address)
