"""What decides about requests, and what is put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import Code, Destination, HostMismatch, Request, canonical_path, canonical_query
from outward.credentials.canaries import in_name
from outward.credentials.injector import Injector
from outward.credentials.personal import AgentStore
from outward.gateway.denial import Refused
from outward.gateway.routes import TunnelRoute
from outward.gateway.upstream_proxy import ProxyChoice
from outward.gateway.websocket import check_request

if TYPE_CHECKING:
    from outward.core import Verdict
    from outward.credentials import CredentialStore
    from outward.gateway.http1 import RequestHead
    from outward.gateway.streams import ClientStream
    from outward.policy import Policy


class Leaked(Refused):
    """The placeholder of ``secret`` stands where it does not belong."""

    def __init__(self, secret: str) -> None:
        super().__init__(Code.PLACEHOLDER_LEAK, f"the placeholder of secret {secret!r}")
        self.secret: Final = secret


class Ruleset:
    """A policy with its credentials: what a reload replaces as a whole. An exchange keeps the one it began with."""

    def __init__(self, policy: Policy, store: CredentialStore) -> None:
        self.policy: Final = policy
        self.store: Final = store
        self.proxies: Final = ProxyChoice(policy, store)
        self._decider: Final = policy.decider
        self._injectors: Final = {destination: Injector(destination, store) for destination in policy.destinations}
        # Where what is captured goes each agent has an injector of its own.
        self._personal: Final = {
            destination: dict[str, Injector]()
            for destination in policy.destinations
            if any(map(store.is_captured, self._injectors[destination].secrets))
        }
        self._nowhere: Final = Injector(Destination("", "", 0, "https", ()), store)
        self._reads_headers: Final = any(rule.headers for d in policy.destinations for rule in d.rules)

    def canonical(self, client: ClientStream, head: RequestHead) -> Request:
        """The one request that ``head`` is (step 4).

        Raises :class:`ClientError`, :class:`HostMismatch`, or :class:`Leaked` for a placeholder in a name that nobody has
        looked at before: that of plain HTTP, or that of TLS where it is another than the connection's.
        """
        route = client.route
        try:
            scheme, host, port, text, query = route.resolve(head)
        except HostMismatch:
            if (
                isinstance(route, TunnelRoute)
                and route.sni is not None
                and (secret := self.leaked(route.sni)) is not None
            ):
                raise Leaked(secret) from None
            raise
        if scheme == "http" and (secret := self.leaked(host)) is not None:
            raise Leaked(secret)
        path, folded = canonical_path(text)
        headers = tuple((key, value) for key, _, value in head.fields) if self._reads_headers else ()
        return Request(client.agent, head.method, scheme, host, port, path, folded, canonical_query(query), headers)

    def decide(self, request: Request) -> Verdict:
        """What the policy decides (step 5)."""
        return self._decider.decide(request)

    def agent_store(self, agent: str) -> AgentStore:
        """The credentials as ``agent`` has them."""
        return AgentStore(self.store, agent)

    def _injector(self, destination: Destination, agent: str) -> Injector:
        own = self._personal.get(destination)
        if own is None:
            return self._injectors[destination]
        injector = own.get(agent)
        if injector is None:
            injector = own[agent] = Injector(destination, self.agent_store(agent))
        return injector

    def admit(self, head: RequestHead, verdict: Verdict, agent: str) -> Injector:
        """The injector of the destination that the verdict allows. Raises :class:`Refused` for what does not go on."""
        destination = verdict.destination
        if not verdict.allowed or destination is None:
            if verdict.code is Code.HOST_NOT_ALLOWED:
                self._check_leaks(head, self._nowhere)
            raise Refused(verdict.code or Code.DENIED_BY_RULE, "")
        if head.method == "TRACE":
            # An answer to TRACE is the request, with the credential that we put in (RFC 9110 §9.3.8).
            raise Refused(Code.METHOD_NOT_ALLOWED, "TRACE is never forwarded")
        if head.websocket:
            check_request(head)
        injector = self._injector(destination, agent)
        self._check_leaks(head, injector)
        return injector

    def _check_leaks(self, head: RequestHead, injector: Injector) -> None:
        canaries = injector.canaries()
        secret = canaries.in_head(head.text, head.authorization) if canaries is not None else None
        if secret is not None:
            raise Leaked(secret)

    def leaked(self, host: str) -> str | None:
        """The name of a secret whose placeholder, or a good part of it, is in a host name: no name has any."""
        return in_name(self.store.foreign(()), host)
