"""Programs that print what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIME_LIMIT: Final = 60.0
"""Seconds; long enough for a person to confirm on a password manager's window."""


async def output_of(name: str, argv: Sequence[str], environment: Mapping[str, str], *, hint: str) -> bytes:
    """What the program prints for the secret ``name``. Its errors are not repeated: some programs print secrets there.

    ``hint`` is what to do if it fails. Raises :class:`SecretUnavailable`.
    """
    import asyncio  # here: whoever has no such secret starts without it

    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environment),
        )
    except OSError as error:
        raise SecretUnavailable(name, f"cannot run {argv[0]}: {error.strerror}") from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(), TIME_LIMIT)
    except TimeoutError:
        raise SecretUnavailable(name, f"{argv[0]} did not answer within {TIME_LIMIT:.0f} s", hint=hint) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SecretUnavailable(name, f"{argv[0]} failed with status {process.returncode}", hint=hint)
    return output
