"""The decision: every rule of a policy, compiled once into one table per host, scheme and port.

The law, from which everything here follows: of all rules of all destinations that cover the request, deny beats ask beats
allow; nothing matching means deny. The order of the file only breaks ties between rules that say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import Action, Code, Verdict, path_readings
from outward.core.canonical import MAX_HOST
from outward.policy.constraints import certain, possible
from outward.policy.globs import readings_of_glob
from outward.policy.trie import PathTrie

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from outward.core import Destination, Request, Rule

_STRENGTH: Final = {Action.DENY: 0, Action.ASK: 1, Action.ALLOW: 2}
_CODE: Final = {Action.DENY: Code.DENIED_BY_RULE, Action.ASK: Code.APPROVAL_DENIED, Action.ALLOW: None}
_REFUSED: Final = {
    # What is answered when no rule matched. Shared, like every verdict.
    code: Verdict(Action.DENY, code=code)
    for code in (Code.HOST_NOT_ALLOWED, Code.PORT_NOT_ALLOWED, Code.METHOD_NOT_ALLOWED, Code.PATH_NOT_ALLOWED)
}


class _Entry:
    __slots__ = ("agents", "rank", "rule", "verdict")

    def __init__(self, rank: int, verdict: Verdict, agents: frozenset[str] | None, rule: Rule | None) -> None:
        self.rank: Final = rank  # the smallest that matches decides
        self.verdict: Final = verdict
        self.agents: Final = agents
        self.rule: Final = rule  # where it demands more than method and path


class _Leaf:
    """The rules of one path pattern, by method, in the order of their rank."""

    __slots__ = ("any", "by_method")

    def __init__(self) -> None:
        self.any: tuple[_Entry, ...] = ()
        self.by_method: dict[str, tuple[_Entry, ...]] = {}

    def add(self, entry: _Entry, methods: frozenset[str] | None) -> None:
        """Entries come by rank; one for any method also goes behind those of each method."""
        if methods is None:
            self.any += (entry,)
            methods = frozenset(self.by_method)
        for method in methods:
            self.by_method[method] = (*self.by_method.get(method, self.any), entry)


class _Site:
    """Everything that the policy says about one host pattern, scheme and port."""

    __slots__ = ("allows", "doors", "guards")

    def __init__(self) -> None:
        self.allows: PathTrie[_Leaf] = PathTrie(wide=False)
        self.guards: PathTrie[_Leaf] | None = None  # deny and ask, over every reading of the path
        self.doors: list[tuple[frozenset[str] | None, Verdict]] = []  # what CONNECT is told; passthrough first

    def add(self, rule: Rule, entry: _Entry) -> None:
        # A passthrough has no paths: whatever goes through its tunnel is allowed.
        pattern = rule.path if rule.path is not None else "/**"
        if rule.action is Action.ALLOW:
            self.allows.leaf(pattern, _Leaf()).add(entry, rule.methods)
            return
        if self.guards is None:
            self.guards = PathTrie(wide=True)
        methods = frozenset(map(str.upper, rule.methods)) if rule.methods is not None else None
        for reading in readings_of_glob(pattern):
            self.guards.leaf(reading, _Leaf()).add(entry, methods)

    def guard(self, request: Request) -> _Entry | None:
        """The strongest deny or ask that covers the request under any reading of it."""
        if self.guards is None:
            return None
        method = request.method.upper()
        if request.path.lower() == request.folded:
            leaves = self.guards.find(request.folded)  # the common case: the path has no other reading
        else:
            leaves = [leaf for reading in path_readings(request.path) for leaf in self.guards.find(reading)]
        best = None
        for leaf in leaves:
            for entry in leaf.by_method.get(method, leaf.any):
                if best is not None and best.rank <= entry.rank:
                    break
                if _for_agent(entry.agents, request.agent) and (entry.rule is None or possible(entry.rule, request)):
                    best = entry
                    break
        return best

    def allow(self, request: Request) -> _Entry | None:
        """The best allow that certainly covers the request."""
        best = None
        for leaf in self.allows.find(request.path):
            for entry in leaf.by_method.get(request.method, leaf.any):
                if best is not None and best.rank <= entry.rank:
                    break
                if _for_agent(entry.agents, request.agent) and (entry.rule is None or certain(entry.rule, request)):
                    best = entry
                    break
        return best

    def allows_another_method(self, request: Request) -> bool | None:
        """Whether allow rules cover the path, all for other methods; ``None`` if none covers the path at all."""
        covering = [
            (method, entry)
            for leaf in self.allows.find(request.path)
            for method, entries in ((None, leaf.any), *leaf.by_method.items())
            for entry in entries
            if _for_agent(entry.agents, request.agent)
        ]
        if not covering:
            return None
        return all(method is not None and method != request.method for method, _ in covering)


def _for_agent(agents: frozenset[str] | None, agent: str) -> bool:
    return agents is None or agent in agents


class Decider:
    """The compiled rules of some destinations. Immutable once made; :meth:`decide` is pure and total."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        # Host patterns without their `*.`: exact names, suffixes, and `*` as the suffix "".
        self._exact: Final[dict[str, dict[tuple[str, int], _Site]]] = {}
        self._suffixes: Final[dict[str, dict[tuple[str, int], _Site]]] = {}
        by_rank = sorted(
            (_merit(rule, destination), position, rule, destination)
            for position, (rule, destination) in enumerate((r, d) for d in destinations for r in d.rules)
        )
        for rank, (_, _, rule, destination) in enumerate(by_rank):
            verdict = _verdict(rule, destination)
            bare = not rule.query and not rule.headers
            self._site(destination).add(rule, _Entry(rank, verdict, destination.agents, None if bare else rule))
        for destination in sorted(destinations, key=lambda d: d.tls != "passthrough"):
            if destination.tls != "passthrough" or destination.rules:
                self._site(destination).doors.append((destination.agents, _door(destination)))

    def _site(self, destination: Destination) -> _Site:
        exact = not destination.host.startswith("*")
        table = self._exact if exact else self._suffixes
        name = destination.host if exact else destination.host[2:]
        return table.setdefault(name, {}).setdefault((destination.scheme, destination.port), _Site())

    def _at(self, host: str) -> Iterator[dict[tuple[str, int], _Site]]:
        """The tables of every host pattern that covers ``host``, most specific first."""
        by_port = self._exact.get(host)
        if by_port is not None:
            yield by_port
        if not self._suffixes or _is_address(host):
            return  # an address is matched only where it is spelt out
        dot = host.find(".")
        while dot >= 0:
            by_port = self._suffixes.get(host[dot + 1 :])
            if by_port is not None and dot > 0 and dot + 1 < len(host):
                yield by_port
            dot = host.find(".", dot + 1)
        if host and "" in self._suffixes:
            yield self._suffixes[""]

    def decide(self, request: Request) -> Verdict:
        """The verdict about a request that was parsed."""
        where = (request.scheme, request.port)
        sites = [by_port[where] for by_port in self._at(request.host) if where in by_port]
        guard = allow = None
        for site in sites:
            entry = site.guard(request)
            if entry is not None and (guard is None or entry.rank < guard.rank):
                guard = entry
        if guard is not None:
            return guard.verdict
        for site in sites:
            entry = site.allow(request)
            if entry is not None and (allow is None or entry.rank < allow.rank):
                allow = entry
        if allow is not None:
            return allow.verdict
        return self._refusal(request, sites)

    def _refusal(self, request: Request, sites: Iterable[_Site]) -> Verdict:
        door = self.decide_host(request.agent, request.host, request.port, request.scheme)
        if door.code is not None:
            return door
        answers = [site.allows_another_method(request) for site in sites]
        only_others = True in answers and False not in answers
        return _REFUSED[Code.METHOD_NOT_ALLOWED if only_others else Code.PATH_NOT_ALLOWED]

    def knows_host(self, agent: str, host: str) -> bool:
        """Whether there is a door to the host at all: its name means something."""
        return any(
            _for_agent(agents, agent)
            for by_port in self._at(host)
            for site in by_port.values()
            for agents, _ in site.doors
        )

    def decide_host(self, agent: str, host: str, port: int, scheme: str) -> Verdict:
        """The verdict about a connection before any request on it is seen."""
        opened: Verdict | None = None
        known = False
        for by_port in self._at(host):
            for where, site in by_port.items():
                verdict = next((verdict for agents, verdict in site.doors if _for_agent(agents, agent)), None)
                if verdict is None:
                    continue
                known = True
                if where == (scheme, port) and (opened is None or _is_passthrough(verdict) > _is_passthrough(opened)):
                    opened = verdict
        if opened is not None:
            return opened
        return _REFUSED[Code.PORT_NOT_ALLOWED if known else Code.HOST_NOT_ALLOWED]


def _merit(rule: Rule, destination: Destination) -> tuple[int, ...]:
    """Smaller is better. Only the first item decides about yes or no; the others choose whose destination applies.

    Credentials of the client never get through where another destination would strip them; then the destination that
    injects, then the one that names the host more exactly. What is left is decided by the order of the file.
    """
    strength = _STRENGTH[rule.action]
    if rule.action is Action.DENY:
        return (strength,)
    vague = 1 + MAX_HOST - len(destination.host) if destination.host.startswith("*") else 0
    return strength, destination.client_credentials == "pass", not destination.inject, vague


def _verdict(rule: Rule, destination: Destination) -> Verdict:
    applies = destination if rule.action is not Action.DENY else None
    return Verdict(rule.action, rule.name, _CODE[rule.action], applies, rule.capture)


def _door(destination: Destination) -> Verdict:
    name = destination.rules[0].name if destination.tls == "passthrough" else ""
    return Verdict(Action.ALLOW, name, None, destination)


def _is_passthrough(verdict: Verdict) -> bool:
    return verdict.destination is not None and verdict.destination.tls == "passthrough"


def _is_address(host: str) -> bool:
    """Whether a canonical host is an address: no name has a colon, or digits alone as its last label."""
    return ":" in host or host[host.rfind(".") + 1 :].isdigit()
