"""Regular expressions for a program that has to start quickly.

To compile one takes 0.1 ms, and the modules that a sandbox needs have some thirty, most of which a start never comes to. These
are compiled when one is first used; after that, the methods are those of :class:`re.Pattern`, found a few nanoseconds later.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, Final, cast

_METHODS: Final = ("fullmatch", "match", "search", "sub", "split", "finditer", "findall")


def expression(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As :func:`re.compile`, which raises :class:`re.error` when it is first used (the tests use each)."""
    return cast("re.Pattern[AnyStr]", _Expression(text, flags))


class _Expression:
    def __init__(self, text: Any, flags: int) -> None:
        self._text: Final = text
        self._flags: Final = flags

    def __getattr__(self, name: str) -> object:
        """Called only for what is not there: the first time."""
        compiled = re.compile(self._text, self._flags)
        self.__dict__.update((method, getattr(compiled, method)) for method in _METHODS)
        return getattr(compiled, name)
