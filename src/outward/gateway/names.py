"""Names and their addresses."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

from outward.core import Code
from outward.core.records import NamedTuple
from outward.gateway.denial import DialError

RESOLVE_TIME: Final = 10.0
"""Seconds for a name that has to be resolved."""

LOOK_TIME: Final = 1.0
"""Seconds for a name that would be good to know. Behind a company's proxy there may be nobody who answers."""

KEPT: Final = 30.0
"""Seconds for which the outcome of a look is kept."""

MAX_LOOKS: Final = 2
"""Looks at a time: each occupies a thread of the resolver, of which there are four, for as long as nobody answers."""

MAX_KEPT: Final = 1024

Address = tuple[socket.AddressFamily, str]


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of ``host``, at least one, in the resolver's order. Raises :class:`DialError`."""
    try:
        found = await asyncio.wait_for(_look_up(host, port), RESOLVE_TIME)
    except TimeoutError:
        raise DialError(Code.UPSTREAM_UNREACHABLE, f"the name {host} was not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise DialError(Code.UPSTREAM_UNREACHABLE, f"the name {host} cannot be resolved") from error
    if not found:
        raise DialError(Code.UPSTREAM_UNREACHABLE, f"the name {host} has no address")
    return found


async def _look_up(host: str, port: int) -> list[Address]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    # A scoped IPv6 address ("fe80::1%eth0") keeps its scope out of the check: link-local is refused anyway.
    return [(family, str(address[0]).partition("%")[0]) for family, _, _, _, address in found]


class _Known(NamedTuple):
    addresses: tuple[str, ...]
    until: float


class Glance:
    """What names that somebody else will resolve mean here, as far as that can be said without waiting for long."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of ``host``; none where it has none here, or nobody says so in time."""
        known = self._known.get(host)
        if known is not None and known.until > time.monotonic():
            return known.addresses
        looking = self._looking.get(host)
        if looking is None:
            if len(self._looking) >= MAX_LOOKS:
                return ()
            looking = self._looking[host] = asyncio.get_running_loop().create_task(self._look(host, port))
        await asyncio.wait({looking}, timeout=LOOK_TIME)
        if not looking.done():
            self._keep(host, ())
        return self._known[host].addresses

    async def _look(self, host: str, port: int) -> None:
        try:
            found = await _look_up(host, port)
        except (OSError, UnicodeError):
            found = []
        finally:
            del self._looking[host]
        self._keep(host, tuple(address for _, address in found))

    def _keep(self, host: str, addresses: tuple[str, ...]) -> None:
        if len(self._known) >= MAX_KEPT:
            self._known.clear()
        self._known[host] = _Known(addresses, time.monotonic() + KEPT)
