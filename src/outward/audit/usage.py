"""What the journal knows of each secret: where it went, when last, and where its placeholder was found that should not be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outward.core import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.audit.reading import Record


@dataclass(slots=True)
class Usage:
    """``last`` is the time of the last use, as records have it; ``destinations`` are hosts and how often; ``leaks`` are what
    carried the placeholder to where it does not belong.
    """

    last: str = ""
    destinations: dict[str, int] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Leak:
    """One request that carried the placeholder: when, whose, and where it would have gone; or went, if it ``passed``."""

    time: str
    agent: str
    host: str
    passed: bool = False


def usage(records: Iterable[Record]) -> dict[str, Usage]:
    """By the secret's name in the policy. A use is a request that began: the value may have gone out from then on."""
    found: dict[str, Usage] = {}
    for record in records:
        fields = record.fields
        names = fields.get("secrets")
        passed = fields.get("leaks")
        for name in passed if isinstance(passed, list) else ():
            leak = Leak(record.time, str(fields.get("agent") or ""), str(fields.get("host") or ""), passed=True)
            found.setdefault(str(name), Usage()).leaks.append(leak)
        leaked = fields.get("code") == Code.PLACEHOLDER_LEAK.value
        if not isinstance(names, list) or not (leaked or fields["phase"] == "start"):
            continue
        host = str(fields.get("host") or "")
        for name in map(str, names):
            one = found.setdefault(name, Usage())
            if leaked:
                one.leaks.append(Leak(record.time, str(fields.get("agent") or ""), host))
            else:
                one.last = max(one.last, record.time)
                one.destinations[host] = one.destinations.get(host, 0) + 1
    return found
