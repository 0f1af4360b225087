"""Glob patterns, compiled so that a tree of 50,000 files is matched in milliseconds.

Nearly all patterns are a plain name, a prefix or a suffix: those are set and tuple look-ups. The rest is one regular
expression.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from outward.core.expressions import expression

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN: Final = expression(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class Names:
    """Patterns of the built-in tables: names, or ends of paths; without regard to case."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: Final[set[str]] = set()
        self._ends: Final[dict[str, list[str]]] = {}
        prefixes: list[str] = []
        suffixes: list[str] = []
        others: list[str] = []
        other_suffixes: list[str] = []
        for pattern in (each.lower() for each in patterns):
            directory, _, name = pattern.rpartition("/")
            if directory:
                self._ends.setdefault(name, []).append(f"/{pattern}")
            elif not _is_wild(pattern):
                self._exact.add(pattern)
            elif not _is_wild(pattern[1:]) and pattern.startswith("*"):
                suffixes.append(pattern[1:])
            elif not _is_wild(pattern[:-1]):
                prefixes.append(pattern[:-1])
            else:
                others.append(_translate(pattern))
                other_suffixes.append(pattern.replace("?", "*").rpartition("*")[2])
        self._prefixes: Final = tuple(prefixes)
        self._suffixes: Final = tuple(suffixes)
        self._other_suffixes: Final = tuple(other_suffixes)  # asked first: an expression costs ten times as much
        self._others: Final = expression("|".join(others))

    def match(self, directory: str, name: str) -> bool:
        """Whether the entry ``name`` of ``directory`` is meant."""
        lower = name.lower()
        if self._by_name(lower):
            return True
        ends = self._ends.get(lower)
        return ends is not None and f"{directory}/{name}".lower().endswith(tuple(ends))

    def may(self, name: str) -> bool:
        """Whether an entry of this name is meant in some directory."""
        lower = name.lower()
        return lower in self._ends or self._by_name(lower)

    def _by_name(self, lower: str) -> bool:
        if lower in self._exact or lower.endswith(self._suffixes) or lower.startswith(self._prefixes):
            return True
        return bool(lower.endswith(self._other_suffixes) and self._others.fullmatch(lower))


class Globs:
    """Patterns of a policy, against paths relative to the root that is scanned.

    ``*`` and ``?`` stay within a name, ``**`` crosses names, ``/**`` at the end also means the directory itself. A pattern
    without a slash is a name at any depth. An empty list matches nothing.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        parts = [_relative(pattern) for pattern in patterns]
        self._expression: Final = re.compile("|".join(parts)) if parts else None

    def __bool__(self) -> bool:
        return self._expression is not None

    def match(self, path: str) -> bool:
        """Whether ``path``, relative and without a leading slash, is meant."""
        return self._expression is not None and self._expression.fullmatch(path) is not None


def _relative(pattern: str) -> str:
    text = pattern.removeprefix("./").strip("/")
    below = text.endswith("/**")
    text = text.removesuffix("/**")
    anchored = "/" in pattern.removeprefix("./").rstrip("/")
    return ("" if anchored else "(?:.*/)?") + _translate(text) + ("(?:/.*)?" if below else "")


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def _translate(pattern: str) -> str:
    return "".join(_MEANING.get(token) or re.escape(token) for token in _TOKEN.findall(pattern))
