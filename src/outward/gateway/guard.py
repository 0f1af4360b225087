"""Which addresses are not dialled: those that are not public, the gateway's own, and those of proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import Code
from outward.gateway.address import refusal
from outward.gateway.denial import DialError
from outward.gateway.local import is_local
from outward.gateway.names import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.core import Proxy
    from outward.gateway.upstream_proxy import ProxyChoice

PRIVATE_HINT: Final = "If that is meant, say so in the policy: `connect_to:` or `allow_private: true`."
PROXY_HINT: Final = "A proxy is a way, not a destination: whoever speaks to it could be sent on to anywhere."


class Guard:
    """Asked about the very address that is going to be connected to."""

    def __init__(self) -> None:
        self._own: set[int] = set()

    def never_dial(self, port: int) -> None:
        """Registers the port of a listener of ours: no policy can make the gateway talk to itself."""
        self._own.add(port)

    def objection(self, address: str, port: int, proxies: Mapping[str, Proxy], *, private: bool) -> DialError | None:
        """Why ``address`` is not dialled, or ``None``. ``private``: it may be one that is not public.

        ``proxies`` are the addresses at which there are proxies (:func:`proxies_at`).
        """
        if not private and (reason := refusal(address)) is not None:
            return DialError(Code.ADDRESS_NOT_ALLOWED, reason, hint=PRIVATE_HINT)
        if port in self._own and is_local(address):
            return DialError(Code.ADDRESS_NOT_ALLOWED, f"{address}:{port} is this gateway itself")
        if (proxy := proxies.get(address)) is not None:
            return DialError(Code.ADDRESS_NOT_ALLOWED, f"{address}:{port} is the proxy {proxy}", hint=PROXY_HINT)
        return None


async def proxies_at(host: str, port: int, choice: ProxyChoice) -> dict[str, Proxy]:
    """The proxies that listen on ``port``, by address: whatever name a destination has, it must be none of them.

    Raises :class:`DialError` if ``host`` names one of them itself.
    """
    found = {}
    for proxy in choice.at(port):
        if proxy.host == host:
            raise DialError(Code.ADDRESS_NOT_ALLOWED, f"{host}:{port} is the proxy {proxy}", hint=PROXY_HINT)
        try:
            found.update({address: proxy for _, address in await resolve(proxy.host, port)})
        except DialError:
            continue  # it has no address for a destination to share
    return found
