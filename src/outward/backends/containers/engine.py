"""The installed client of docker or podman."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.isolation import programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASSED: Final = (
    # Variables of the caller that say which engine is meant and where it keeps its things.
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "TMPDIR",
    "TERM",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
)

TIME: Final = 120.0
"""Seconds in which an engine has answered, or it hangs."""


class Engine(NamedTuple):
    """A client: its absolute ``path``, and the ``environment`` in which it finds its engine."""

    path: str
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """The program's name."""
        return self.path.rpartition("/")[2]

    def removal(self, names: Sequence[str]) -> tuple[str, ...]:
        """Asks it to remove containers at once, whatever they do."""
        at_once = ("--time=0",) if self.name == "podman" else ()
        return ("rm", "--force", "--volumes", *at_once, *names)

    def ask(self, *arguments: str, stdin: int | None = None, before: Sequence[str] = ()) -> str:
        """What the client answers; ``before`` is what starts it, and ``stdin`` a file that it reads from its beginning.

        Raises :class:`HostError` with what it says instead.
        """
        if stdin is not None:
            os.lseek(stdin, 0, os.SEEK_SET)
        try:
            done = subprocess.run(
                [*before, self.path, *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIME,
                env=dict(self.environment),
                cwd="/",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"{self.path} does not run: {error}") from error
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            raise HostError(f"{self.name} says: {said[-1] if said else f'exit status {done.returncode}'}")
        return done.stdout.strip()


def find(name: str, environment: Mapping[str, str]) -> Engine:
    """The client ``name``. Raises :class:`HostError` where it is not installed."""
    path = programs.installed(name)
    if path is None:
        raise HostError(f"{name} is not installed", hint=f"Install {name}, or use --backend bubblewrap.")
    passed = {key: environment[key] for key in PASSED if key in environment}
    return Engine(path, {"PATH": f"{programs.SYSTEM_PATH}:/usr/sbin:/sbin", **passed})
