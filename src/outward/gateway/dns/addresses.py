"""The pool of addresses that stand for names."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

POOL: Final = IPv4Network("198.18.0.0/15")
"""Meant for benchmarks of network devices (RFC 2544), so that no server has one of them."""
POOL6: Final = IPv6Network("fd6f:7574:7764::/64")
"""Unique local addresses (RFC 4193). Used in cages only, so their number need not be random."""

LIMIT: Final = 8192
"""Names that have an address at a time. Addresses of those that were not used for longest are taken back."""

_COUNT: Final = POOL.num_addresses - 2
"""The first and the last address of the pool stay unused: there are programs that take them for something special."""


class Addresses:
    """Names and their addresses, one of each kind, for one cage. An address is not given to another name before all others
    have been.
    """

    def __init__(self, *, ipv6: bool, limit: int = LIMIT) -> None:
        """``ipv6`` tells whether whoever asks can use IPv6 at all."""
        self.ipv6: Final = ipv6
        self._limit: Final = limit
        self._numbers: Final[OrderedDict[str, int]] = OrderedDict()  # the name that was used last at the end
        self._names: Final[dict[int, str]] = {}
        self._given = 0

    def ipv4_of(self, name: str) -> IPv4Address:
        """The address of a canonical name."""
        return POOL[self._number(name)]

    def ipv6_of(self, name: str) -> IPv6Address:
        """The same for IPv6."""
        return POOL6[self._number(name)]

    def name_at(self, address: str) -> str | None:
        """The name that a canonical address stands for."""
        found = ip_address(address)
        if found in POOL:
            number = int(found) - int(POOL.network_address)
        elif found in POOL6:
            number = int(found) - int(POOL6.network_address)
        else:
            return None
        name = self._names.get(number)
        if name is not None:
            self._numbers.move_to_end(name)
        return name

    def _number(self, name: str) -> int:
        if name in self._numbers:
            self._numbers.move_to_end(name)
            return self._numbers[name]
        if len(self._numbers) >= self._limit:
            _, forgotten = self._numbers.popitem(last=False)
            del self._names[forgotten]
        self._given += 1
        while (number := (self._given - 1) % _COUNT + 1) in self._names:
            self._given += 1
        self._numbers[name] = number
        self._names[number] = name
        return number


def is_pooled(address: str) -> bool:
    """Whether a canonical address can only stand for a name."""
    found = ip_address(address)
    return found in POOL or found in POOL6
