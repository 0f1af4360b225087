"""The type of a secret value."""

from __future__ import annotations

from typing import Final, NoReturn


class Secret:
    """A secret value that shows only its name.

    ``repr``, ``str``, formatting and error messages give the name; pickling and copying are refused. The value leaves
    through :meth:`reveal`, a word that can be searched for.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: bytes) -> None:
        self.name: Final = name
        self._value: Final = value

    def reveal(self) -> bytes:
        """The value itself. Only code that puts it on the wire, or scrubs it off, calls this."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret {self.name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is not to be serialised")
