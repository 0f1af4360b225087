"""What decides about requests, and what is put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.credentials.injector import Injector, find_leak
from outward.gateway.upstream_proxy import ProxyChoice

if TYPE_CHECKING:
    from outward.core import Destination, Request, Verdict
    from outward.credentials import CredentialStore
    from outward.gateway.http1 import RequestHead
    from outward.policy import Policy


class Ruleset:
    """A policy with its credentials: what a reload replaces as a whole. An exchange keeps the one it began with."""

    def __init__(self, policy: Policy, store: CredentialStore) -> None:
        self.policy: Final = policy
        self.store: Final = store
        self.proxies: Final = ProxyChoice(policy, store)
        self._decider: Final = policy.decider
        self._injectors: Final = {destination: Injector(destination, store) for destination in policy.destinations}
        self.reads_headers: Final = any(rule.headers for d in policy.destinations for rule in d.rules)

    def decide(self, request: Request) -> Verdict:
        """What the policy decides."""
        return self._decider.decide(request)

    def injector(self, destination: Destination) -> Injector:
        """The injector of a destination of this policy."""
        return self._injectors[destination]

    def leak(self, head: RequestHead, *, bound: tuple[str, ...] = ()) -> str | None:
        """The name of a secret whose placeholder is in ``head`` and that is not in ``bound``."""
        return find_leak(self.store, head.text, head.authorization, bound)
