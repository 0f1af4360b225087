"""The decision as the contract says it, rule by rule, with no regard to cost."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from outward.core import Action, Code, path_readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.core import Destination, Request, Rule


def glob(pattern: str, *, wide: bool) -> re.Pattern[str]:
    star = "[^/]*" if wide else "(?:(?!%2F|%5C)[^/])*"
    end = "(?:/.*)?" if pattern.endswith("/**") else ""
    pieces = re.split(r"(\*\*|\*)", pattern.removesuffix("/**") if end else pattern)
    body = "".join({"*": star, "**": ".*"}.get(piece, re.escape(piece)) for piece in pieces)
    return re.compile(body + end, re.DOTALL)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def covers_host(pattern: str, host: str) -> bool:
    if not pattern.startswith("*"):
        return pattern == host
    if is_address(host) or not host:
        return False
    return pattern == "*" or (host.endswith(pattern[1:]) and len(host) > len(pattern[1:]))


def pairs(query: str, separators: str) -> list[tuple[str, str]]:
    parts = [part.partition("=") for part in re.split(separators, query) if part]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts]


def covers(rule: Rule, request: Request) -> bool:
    if rule.action is Action.ALLOW:
        return (
            (rule.methods is None or request.method in rule.methods)
            and glob(rule.path or "/**", wide=False).fullmatch(request.path) is not None
            and all(certainly(pairs(request.query, "[&;]"), *want) for want in rule.query)
            and all(certainly(request.headers, *want) for want in rule.headers)
        )
    path = rule.path or "/**"
    patterns = {re.sub(r"\*{2,}", "**", reading) for reading in (path, *path_readings(path))}
    readings = pairs(request.query, "[&;]") + pairs(request.query, "&")
    return (
        (rule.methods is None or request.method.upper() in rule.methods)
        and any(
            glob(pattern, wide=True).fullmatch(reading)
            for pattern in patterns
            for reading in path_readings(request.path)
        )
        and all(possibly(readings, *want) for want in rule.query)
        and all(possibly(elements(request), *want) for want in rule.headers)
    )


def elements(request: Request) -> list[tuple[str, str]]:
    return [(name, part) for name, value in request.headers for part in (value, *value.split(","))]


def certainly(given: Iterable[tuple[str, str]], name: str, value: str) -> bool:
    alike = [(n, v) for n, v in given if n.lower() == name.lower()]
    return any(n == name for n, _ in alike) and all(v == value for _, v in alike)


def possibly(given: Iterable[tuple[str, str]], name: str, value: str) -> bool:
    return any(n.lower() == name.lower() and v.strip().lower() == value.strip().lower() for n, v in given)


def decide(destinations: Iterable[Destination], request: Request) -> tuple[Action, Code | None]:
    """The action and the code."""
    mine = [d for d in destinations if d.agents is None or request.agent in d.agents]
    named = [d for d in mine if covers_host(d.host, request.host)]
    here = [d for d in named if (d.scheme, d.port) == (request.scheme, request.port)]
    rules = [rule for destination in here for rule in destination.rules]
    matching = {rule.action for rule in rules if covers(rule, request)}
    for action, code in ((Action.DENY, Code.DENIED_BY_RULE), (Action.ASK, Code.APPROVAL_DENIED), (Action.ALLOW, None)):
        if action in matching:
            return action, code
    if not here:
        return Action.DENY, Code.PORT_NOT_ALLOWED if named else Code.HOST_NOT_ALLOWED
    on_path = [
        rule
        for rule in rules
        if rule.action is Action.ALLOW and glob(rule.path or "/**", wide=False).fullmatch(request.path)
    ]
    if on_path and not any(rule.methods is None or request.method in rule.methods for rule in on_path):
        return Action.DENY, Code.METHOD_NOT_ALLOWED
    return Action.DENY, Code.PATH_NOT_ALLOWED
