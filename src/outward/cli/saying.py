"""What is said to a person, on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from outward.core import PolicyError
from outward.core.display import printable

if TYPE_CHECKING:
    from outward.core import OutwardError


def say(line: str) -> None:
    """One line, ours by its beginning: what runs inside writes to the same place."""
    print(f"outward: {_shown(line)}", file=sys.stderr)


def say_error(error: OutwardError) -> None:
    """What is wrong, and the way out."""
    if isinstance(error, PolicyError):
        for problem in error.problems:
            say(str(problem))
    else:
        say(error.message)
    if error.hint:
        print(f"  {_shown(error.hint)}", file=sys.stderr)


def _shown(text: str) -> str:
    """What we say has lines of its own; what it quotes may be a name that somebody chose for what it does to a terminal."""
    return printable(text, keep="\n\t")
