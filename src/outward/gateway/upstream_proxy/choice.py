"""Which proxy leads to a destination, and with which credentials."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from outward.core import Proxy, Secret
from outward.core.proxy import bypassed
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.core import Destination
    from outward.credentials import CredentialStore
    from outward.policy import Policy


class Login(NamedTuple):
    """Who we are to a proxy."""

    username: bytes
    password: Secret

    @property
    def basic(self) -> str:
        """The value of Proxy-Authorization (RFC 7617 §2)."""
        return "Basic " + b64encode(self.username + b":" + self.password.reveal()).decode("ascii")


class ProxyChoice:
    """The proxies of one policy, and the caller's own where the policy says nothing."""

    def __init__(self, policy: Policy, store: CredentialStore) -> None:
        self._caller: Final = store.caller.by_scheme
        self.store: Final = store
        named = (policy.proxy, *(destination.proxy for destination in policy.destinations), *self._caller.values())
        self._all: Final = frozenset(one for one in named if isinstance(one, Proxy))

    def of(self, destination: Destination, host: str) -> Proxy | None:
        """The proxy that leads to ``host``; ``None`` where it is dialled directly."""
        if destination.connect_to is not None:
            return None
        proxy = destination.proxy or self._caller.get(destination.scheme)
        if not isinstance(proxy, Proxy) or bypassed(host, proxy.no_proxy):
            return None
        return proxy

    def at(self, port: int) -> Iterator[Proxy]:
        """Every proxy that is known and listens on ``port``, whoever it is for."""
        return (proxy for proxy in self._all if proxy.port == port)

    async def login(self, proxy: Proxy) -> Login | None:
        """The credentials for ``proxy``. Raises :class:`~outward.core.SecretUnavailable`: it is never asked without them."""
        if proxy.secret is None:
            return None
        return Login(proxy.username.encode(), await self.store.get(proxy.secret))
