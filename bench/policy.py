"""What a decision costs, and that 10,000 rules cost what ten cost: over many hosts, and on one.

Run as ``python -m bench.policy``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from outward.core import Action, Destination, Request, Rule, canonical_path
from outward.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
REPEATS = 20_000
COUNTS = (10, 50, 10_000)


def _destination(host: str, count: int, path: str) -> Destination:
    rules = [Rule(f"{host} allow[{i}]", Action.ALLOW, frozenset({"GET", "HEAD"}), path.format(i)) for i in range(count)]
    rules.append(Rule(f"{host} deny[0]", Action.DENY, None, "/gists/**"))
    return Destination(host, host, 443, "https", tuple(rules))


def one_host(path: str) -> Callable[[int], Policy]:
    """All rules on the host that is asked for."""
    return lambda count: Policy(destinations=(_destination("api.example.com", count, path),))


def many_hosts(count: int) -> Policy:
    """One rule for each host."""
    hosts = ("api.example.com", *(f"host-{i}.example.com" for i in range(1, count)))
    return Policy(destinations=tuple(_destination(host, 1, "/repos/acme/p7/**") for host in hosts))


SHAPES: dict[str, tuple[Callable[[int], Policy], str]] = {
    # How the rules look, and a path that one of them allows.
    "one host, /repos/acme/pN/**": (one_host("/repos/acme/p{}/**"), "/repos/acme/p7/x"),
    "one host, /repos/*/pN/x": (one_host("/repos/*/p{}/x"), "/repos/acme/p7/x"),
    "one host, /repos/acme/pN-*": (one_host("/repos/acme/p{}-*"), "/repos/acme/p7-x"),
    "one host, /**/xN": (one_host("/**/x{}"), "/repos/acme/x7"),
    "many hosts": (many_hosts, "/repos/acme/p7/x"),
}


def microseconds(policy: Policy, text: str) -> float:
    """One decision: the best of some rounds, for the machine has other things to do."""
    path, folded = canonical_path(text)
    request = Request("default", "GET", "https", "api.example.com", 443, path, folded)
    assert policy.decide(request).allowed
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(REPEATS):
            policy.decide(request)
        best = min(best, time.perf_counter() - start)
    return best / REPEATS * 1e6


def main() -> None:
    print(f"{'µs for one decision':<32}" + "".join(f"{count:>9,}" for count in COUNTS) + f"{'ratio':>8}")
    for name, (make, path) in SHAPES.items():
        costs = [microseconds(make(count), path) for count in COUNTS]
        print(f"{name:<32}" + "".join(f"{cost:>9.2f}" for cost in costs) + f"{costs[-1] / costs[0]:>8.2f}")


if __name__ == "__main__":
    main()
