"""``{command: [op, read, …]}``: the standard output of a program, without the line end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core import SecretUnavailable
from outward.credentials.kept import Fetched
from outward.credentials.sources.programs import output_of

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """What the program prints."""
    argv = spec.argument
    if not isinstance(argv, tuple) or not argv:
        raise SecretUnavailable(spec.name, "the command is empty")
    hint = "Run the command by hand to see why."
    # As by hand: where Outward was started.
    output = await output_of(spec.name, argv, outside.environment, hint=hint, directory=None)
    value = output.rstrip(b"\r\n")
    if not value:
        raise SecretUnavailable(spec.name, f"{argv[0]} printed nothing")
    return Fetched(value)
