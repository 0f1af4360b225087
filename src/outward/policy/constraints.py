"""What the long form of a rule demands besides method and path: values of query parameters and headers.

Servers read a query in different ways: they split at ``&`` or also at ``;``, take the first or the last of several
values, ignore the case of names. An allow must hold under all of these readings; a deny or an ask, under any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core.expressions import expression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outward.core import Request, Rule

_SEPARATORS: Final = expression("[&;]")


def certain(rule: Rule, request: Request) -> bool:
    """For allow: each demanded name is there, exactly spelt, and no value of it differs."""
    return all(_only(_pairs(request.query, _SEPARATORS.split), *want) for want in rule.query) and all(
        _only(request.headers, *want) for want in rule.headers
    )


def possible(rule: Rule, request: Request) -> bool:
    """For deny and ask: each demanded value is there under some reading, whatever the letter case."""
    readings = [*_pairs(request.query, _SEPARATORS.split), *_pairs(request.query, lambda query: query.split("&"))]
    elements = [(name, part) for name, value in request.headers for part in (value, *value.split(","))]
    return all(_some(readings, *want) for want in rule.query) and all(_some(elements, *want) for want in rule.headers)


def separate(one: Rule, two: Rule) -> bool:
    """Whether the rules demand different values of one name, so that no request can satisfy both."""
    return _differ(one.query, two.query) or _differ(one.headers, two.headers)


def _pairs(query: str, split: Callable[[str], list[str]]) -> list[tuple[str, str]]:
    from urllib.parse import unquote_plus  # here: most policies look at no query

    parts = (part.partition("=") for part in split(query) if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts]


def _only(pairs: Iterable[tuple[str, str]], name: str, wanted: str) -> bool:
    alike = [(given, value) for given, value in pairs if given.lower() == name.lower()]
    return any(given == name for given, _ in alike) and all(value == wanted for _, value in alike)


def _some(pairs: Iterable[tuple[str, str]], name: str, wanted: str) -> bool:
    return any(
        given.lower() == name.lower() and value.strip().lower() == wanted.strip().lower() for given, value in pairs
    )


def _differ(one: tuple[tuple[str, str], ...], two: tuple[tuple[str, str], ...]) -> bool:
    other = dict(two)
    return any(other.get(name, value) != value for name, value in one)
