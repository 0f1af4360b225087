"""From the lines of ``allow``, ``ask`` and ``deny`` to rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core import Action, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.policy.shapes import Value


def rules(name: str, value: Value) -> Iterator[Rule]:
    """Those of a destination called ``name``, in the order of the file."""
    for action in Action:
        given = value.get(action.value, ())
        if given == "connect":
            yield Rule(f"{name} {action}[0]", action, None, None)
            continue
        for item in given:
            # Counted as in the file, where the items that could not be read have their numbers too.
            yield _rule(f"{name} {action}{item.path[item.path.rindex('[') :]}", action, item)


def _rule(name: str, action: Action, item: Value) -> Rule:
    if isinstance(item.data, tuple):
        return Rule(name, action, *item.data)
    words = {method.data for method in item.get("methods")}
    return Rule(
        name,
        action,
        None if "*" in words else frozenset(words),
        item.get("path"),
        tuple((key, text.data) for key, text in item.get("query", {}).items()),
        tuple((key, text.data) for key, text in item.get("headers", {}).items()),
        tuple((key, name.data) for key, name in item.get("capture", {}).items()),
    )
