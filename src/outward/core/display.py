"""Text that a person is shown, whoever chose it: a server, an agent, the name of a file."""

from __future__ import annotations


def printable(text: str, *, keep: str = "") -> str:
    """``text`` as it does nothing to a terminal: whatever is not printable is shown as an escape, except for ``keep``."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text
    )


def counted(number: int, what: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
