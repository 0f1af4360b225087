"""The system keyring, where the desktop keeps passwords: the Secret Service, through the ``keyring`` library."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from outward.core import HostError
from outward.credentials.parts import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_LIMIT: Final = 60.0
"""Seconds; long enough for a person to unlock it in a window."""
_HELPER: Final = "outward.credentials.local.helper"


class NoKeyring(HostError):
    """There is no system keyring that could be used."""


class KeyringTrouble(HostError):
    """There is one, but it does not do as it is asked."""


_LIBRARY: Final = NoKeyring(
    "the system keyring needs the library `keyring`, which is not installed",
    hint="pip install 'outward[keyring]'",
)
_TROUBLE: Final = {
    "library": _LIBRARY,
    "none": NoKeyring(
        "no system keyring is running here",
        hint="Start one in this session (gnome-keyring, KWallet, KeePassXC), or use the encrypted file: --file",
    ),
    "locked": KeyringTrouble(
        "the system keyring is locked",
        hint="Unlock it (log in to the desktop), or, where there is none to log in to, use the encrypted file: --file",
    ),
    "refused": KeyringTrouble("the system keyring refused", hint="Look whether it works: python -m keyring diagnose"),
}


def is_installed() -> bool:
    """Whether there can be a system keyring at all: the library that asks it is there."""
    return importlib.util.find_spec("keyring") is not None


class SystemKeyring:
    """The keyring of the caller's session, which ``environment`` leads to. Each call may take as long as a person."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment: Final = environment

    async def get(self, service: str, username: str) -> str | None:
        """The value; ``None`` if there is none. Raises :class:`NoKeyring` or :class:`KeyringTrouble`."""
        value = (await self._ask(do="get", service=service, username=username)).get("value")
        return None if value is None else str(value)

    async def set(self, service: str, username: str, value: str) -> None:
        """Sets the value, whatever was there. Raises as :meth:`get` does."""
        await self._ask(do="set", service=service, username=username, value=value)

    async def delete(self, service: str, username: str) -> None:
        """Takes the value away if there is one. Raises as :meth:`get` does."""
        await self._ask(do="delete", service=service, username=username)

    async def _ask(self, **request: str) -> dict[str, Any]:
        import asyncio  # here: whoever has no such secret starts without it

        if not is_installed():
            raise _again(_LIBRARY)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", _HELPER),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(self._environment),
                cwd="/",
            )
        except OSError as error:
            raise KeyringTrouble(f"cannot start what asks the system keyring: {error.strerror}") from error
        try:
            output, _ = await asyncio.wait_for(process.communicate(json.dumps(request).encode("ascii")), TIME_LIMIT)
        except TimeoutError:
            raise KeyringTrouble(
                f"the system keyring did not answer within {TIME_LIMIT:.0f} s",
                hint="It may be waiting to be unlocked: look for its window, or log in to the desktop.",
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        # It is not what was asked for if the library, or what it loads, has printed something of its own.
        answer = (json_object(output) if process.returncode == 0 else None) or {"trouble": "refused"}
        if trouble := answer.get("trouble"):
            raise _again(_TROUBLE[trouble])
        return answer


def _again(error: HostError) -> HostError:
    """A new one: an exception that is raised twice would carry the other's traceback."""
    return type(error)(error.message, hint=error.hint)
