"""``{command: [op, read, …]}``: the standard output of a program, without the line end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable
from outward.credentials.kept import Fetched

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec

TIME_LIMIT: Final = 60.0
"""Seconds; long enough for a person to confirm on a password manager's window."""


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """What the program prints. Its errors are not repeated: some programs print secrets there."""
    import asyncio  # here: whoever has no such secret starts without it

    argv = spec.argument
    if not isinstance(argv, tuple) or not argv:
        raise SecretUnavailable(spec.name, "the command is empty")
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(outside.environment),
        )
    except OSError as error:
        raise SecretUnavailable(spec.name, f"cannot run {argv[0]}: {error.strerror}") from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(), TIME_LIMIT)
    except TimeoutError:
        raise SecretUnavailable(spec.name, f"{argv[0]} did not answer within {TIME_LIMIT:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SecretUnavailable(
            spec.name,
            f"{argv[0]} failed with status {process.returncode}",
            hint="Run the command by hand to see why.",
        )
    value = output.rstrip(b"\r\n")
    if not value:
        raise SecretUnavailable(spec.name, f"{argv[0]} printed nothing")
    return Fetched(value)
