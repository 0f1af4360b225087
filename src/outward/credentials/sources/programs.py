"""Programs that print what is asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

TIME_LIMIT: Final = 60.0
"""Seconds; long enough for a person to confirm on a password manager's window."""
MAX_OUTPUT: Final = 1 << 20
"""Octets that a program prints; it may be the wrong one, and print without end."""
ELSEWHERE: Final = "/"
"""Where programs run that Outward chooses. Where it was started itself, an agent may have put something: what an interpreter
imports, what a version manager runs instead, what a relative entry of ``PATH`` leads to."""


async def output_of(
    name: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    hint: str,
    directory: str | Path | None = ELSEWHERE,
) -> bytes:
    """What the program prints for the secret ``name``. Its errors are not repeated: some programs print secrets there.

    ``hint`` is what to do if it fails; ``directory`` where it runs, ``None`` for where Outward was started. Raises
    :class:`SecretUnavailable`.
    """
    import asyncio  # here: whoever has no such secret starts without it

    # A pipe of our own: asyncio has a process end only when its pipes have, which others may hold, and of which not all was read.
    reading, writing = os.pipe()
    printed = open(reading, "rb", buffering=0)  # noqa: ASYNC230, PTH123, SIM115 (a descriptor; closed by what reads it)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environment),
            cwd=directory,
        )
    except OSError as error:
        hint += " No program is taken from where a sandbox may write, such as a project's .venv."
        printed.close()
        raise SecretUnavailable(name, f"cannot run {argv[0]}: {error.strerror}", hint=hint) from error
    finally:
        os.close(writing)
    try:
        async with asyncio.timeout(TIME_LIMIT):
            output = await _all_of(printed)
            if len(output) > MAX_OUTPUT:
                raise SecretUnavailable(name, f"{argv[0]} printed more than {MAX_OUTPUT} bytes", hint=hint)
            await process.wait()
    except TimeoutError:
        raise SecretUnavailable(name, f"{argv[0]} did not answer within {TIME_LIMIT:.0f} s", hint=hint) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SecretUnavailable(name, f"{argv[0]} failed with status {process.returncode}", hint=hint)
    return output


async def _all_of(pipe: BinaryIO) -> bytes:
    """All of it, or one octet too much. Closes the pipe."""
    from asyncio import IncompleteReadError, StreamReader, StreamReaderProtocol, get_running_loop

    stream = StreamReader()
    transport, _ = await get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(stream), pipe)
    try:
        return await stream.readexactly(MAX_OUTPUT + 1)
    except IncompleteReadError as end:
        return end.partial
    finally:
        transport.close()
