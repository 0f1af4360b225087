"""What is wrong between destinations: two answers to one question are a problem of the file, never a matter of order."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from outward.core import Action
from outward.policy.constraints import separate
from outward.policy.globs import Glob, folded_glob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outward.core import Destination, Rule
    from outward.policy.build import Placed


def find_conflicts(destinations: Sequence[Placed]) -> None:
    """Notes a problem at the later of each two destinations that contradict each other.

    * Both would inject into one request. A file may repeat what a file that it uses says, word for word.
    * One host is both passed through and intercepted.
    * An answer is captured by one rule, and another one that may cover the same request does not capture the same.
    * The same host, and one request would be delivered in two ways (``connect_to``, ``proxy``, ``ca``,
      ``client_certificate``, ``allow_private``).
    """
    for placed in destinations:
        _check_captures(placed, placed)
    for earlier, later in _overlapping(destinations):
        _check_captures(earlier, later)
        one, two = earlier.thing, later.thing
        where = f"destination {one.name!r} ({earlier.reading.file}:{earlier.value.node.start.line})"
        if one.tls != two.tls:
            later.problem(f"the host {two.host!r} is also passed through or intercepted differently by {where}")
            continue
        repeated = one.inject == two.inject and earlier.reading is not later.reading
        if one.inject and two.inject and not repeated and (pair := _common(one, two)):
            later.problem(f"{pair[1].name!r} and {pair[0].name!r} of {where} would both inject into one request")
        elif one.host == two.host and _delivery(one) != _delivery(two) and (pair := _common(one, two)):
            later.problem(f"{pair[1].name!r} and {pair[0].name!r} of {where} would send one request in two ways")


def _check_captures(earlier: Placed, later: Placed) -> None:
    """A way around a capture would bring the real token into the sandbox. Paths are compared as careless servers read them."""
    for two in later.thing.rules:
        for one in earlier.thing.rules:
            if (
                one.capture != two.capture
                and Action.DENY not in {one.action, two.action}
                and _share_method(one, two)
                and not separate(one, two)
                and _wide_glob(one).meets(_wide_glob(two))
            ):
                catcher, other = (one, two) if one.capture else (two, one)
                later.problem(
                    f"{catcher.name!r} captures answers to requests that {other.name!r} covers as well",
                    accepted="a narrower path or other methods there",
                )
                return


def _delivery(destination: Destination) -> tuple[object, ...]:
    certificate = destination.client_certificate
    return destination.connect_to, destination.proxy, destination.ca, certificate, destination.allow_private


def _overlapping(destinations: Sequence[Placed]) -> Iterator[tuple[Placed, Placed]]:
    """Pairs that cover a common host, port and scheme for a common agent, in the order of the files."""
    by_place: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for position, placed in enumerate(destinations):
        destination: Destination = placed.thing
        by_place[destination.host, destination.scheme, destination.port].append(position)
    for (host, scheme, port), positions in by_place.items():
        for wider in _wider(host):
            for other in by_place.get((wider, scheme, port), ()):
                for position in positions:
                    first, second = sorted((other, position))
                    if (wider != host or other < position) and _share_agent(destinations[first], destinations[second]):
                        yield destinations[first], destinations[second]


def _wider(host: str) -> Iterator[str]:
    """The host pattern itself and every one that covers all of its hosts: patterns overlap only in this way."""
    yield host
    labels = host.removeprefix("*.").split(".")
    for index in range(1, len(labels)):
        yield "*." + ".".join(labels[index:])
    if host != "*":
        yield "*"


def _share_agent(one: Placed, two: Placed) -> bool:
    a, b = one.thing.agents, two.thing.agents
    if a is None or b is None:
        return (a is None or bool(a)) and (b is None or bool(b))
    return bool(a & b)


def _common(one: Destination, two: Destination) -> tuple[Rule, Rule] | None:
    """Two rules, both allow or both ask, that some request satisfies together."""
    compiled = [(b, _glob(b)) for b in two.rules if b.action is not Action.DENY]
    for a in one.rules:
        if a.action is Action.DENY:
            continue
        glob = _glob(a)
        for b, other in compiled:
            if a.action is b.action and _share_method(a, b) and not separate(a, b) and glob.meets(other):
                return a, b
    return None


def _share_method(a: Rule, b: Rule) -> bool:
    return a.methods is None or b.methods is None or not a.methods.isdisjoint(b.methods)


def _wide_glob(rule: Rule) -> Glob:
    return Glob(folded_glob(rule.path or "/**"), wide=True)


def _glob(rule: Rule) -> Glob:
    pattern = rule.path or "/**"
    return Glob(pattern) if rule.action is Action.ALLOW else Glob(folded_glob(pattern), wide=True)
