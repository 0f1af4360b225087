"""The process sandbox: bubblewrap, started inside a cage.

The network namespace comes from the cage and belongs to a user namespace outside of bubblewrap's, so nothing inside has any
capability over it, whatever it becomes.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.isolation import programs
from outward.isolation.answers import Answer, identity
from outward.isolation.system import HOSTNAME, UID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outward.isolation.launch import Launch

OLDEST: Final = (0, 5)
"""The first version with ``--perms``."""

_VERSION: Final = r"([0-9]{1,9})\.([0-9]{1,9})"
_SIZES: Final = (0, 7)
"""The first version with ``--size``."""

_CONTAINER: Final = (
    "In a container it needs user namespaces and an unmasked /proc "
    "(docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined)."
)
_INSTALL: Final = "Install bubblewrap with the system's package manager (package `bubblewrap`)."


class Bubblewrap(NamedTuple):
    """The installed tool: its absolute ``path``, whether it can forbid further user namespaces, and ``sizes`` of file systems."""

    path: str
    setsid: str
    disable_userns: bool
    sizes: bool = True

    def argv(self, launch: Launch, arguments: int) -> tuple[str, ...]:
        """The command line. Everything but the command is read from the descriptor ``arguments``: paths and variables do
        not belong in the process table."""
        # A session of its own, so that signals meet the command's process group and nothing of the launcher.
        session = (self.setsid, "--ctty") if launch.terminal else (self.setsid,)
        return (self.path, "--args", str(arguments), "--", *session, *launch.command)

    def arguments(self, launch: Launch, *, seccomp: int, status: int, hold: Callable[[bytes], int]) -> bytes:
        """What ``--args`` reads: NUL-terminated. ``seccomp`` and ``status`` are descriptors; ``hold`` makes further ones."""
        parts = [*self._fixed(launch), "--seccomp", str(seccomp), "--json-status-fd", str(status)]
        for operation in launch.operations:
            parts += operation.arguments(hold)
        for name, value in launch.environment.items():
            parts += ("--setenv", name, value)
        parts += ("--chdir", launch.directory)
        if any("\0" in part for part in parts):
            raise HostError("a path or a variable holds a NUL byte")
        return b"".join(os.fsencode(part) + b"\0" for part in parts)

    def _fixed(self, launch: Launch) -> Iterator[str]:
        for namespace in ("user", "pid", "ipc", "uts", "cgroup"):
            yield f"--unshare-{namespace}"
        if self.disable_userns and launch.seccomp != "nested":
            yield "--disable-userns"
        yield from ("--die-with-parent", "--cap-drop", "ALL", "--clearenv")
        yield from ("--uid", str(UID), "--gid", str(UID), "--hostname", HOSTNAME)


def find(memory: Path) -> Bubblewrap:
    """The bubblewrap of this machine. Raises :class:`HostError` with the way out when there is none that will do.

    Only the system's own directories are searched: what the agent could write to must not confine it. ``memory`` is a file of
    ours in which the version is kept: asking for it would take longer than all the rest.
    """
    path = programs.installed("bwrap")
    if path is None:
        raise HostError("bubblewrap (bwrap) is not installed, and nothing runs without a sandbox", hint=_INSTALL)
    setsid = programs.installed("setsid")
    if setsid is None:
        raise HostError("setsid is not installed", hint="Install util-linux with the system's package manager.")
    version = _version(path, memory)
    if version < OLDEST:
        raise HostError(f"bubblewrap {_text(version)} is older than {_text(OLDEST)}", hint=_INSTALL)
    return Bubblewrap(path, setsid, disable_userns=version >= (0, 8) and _sysctl_writable(), sizes=version >= _SIZES)


def probe(bubblewrap: Bubblewrap) -> None:
    """Tries an empty sandbox. Raises :class:`HostError` with what bubblewrap says."""
    import subprocess  # here, as below: most runs have no need of it

    trial = subprocess.run(
        [bubblewrap.path, "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "/bin/true"],
        capture_output=True,
        text=True,
        timeout=30,
        env={},
    )
    if trial.returncode != 0:
        said = trial.stderr.strip().removeprefix("bwrap: ") or f"exit status {trial.returncode}"
        raise HostError(f"bubblewrap does not work on this machine: {said}", hint=_CONTAINER)


def _version(path: str, memory: Path) -> tuple[int, ...]:
    """What the program says it is, or said when it was the same file."""
    answer = Answer(memory, identity(path))
    if (match := re.fullmatch(_VERSION, answer.kept() or "")) is not None:
        return _parts(match)
    version = _ask_version(path)
    answer.keep(_text(version))
    return version


def _ask_version(path: str) -> tuple[int, ...]:
    import subprocess

    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, env={}).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{path} does not run: {error}", hint=_INSTALL) from error
    if (match := re.search(_VERSION, answer)) is None:
        raise HostError(f"{path} does not say its version", hint=_INSTALL)
    return _parts(match)


def _parts(match: re.Match[str]) -> tuple[int, ...]:
    return tuple(map(int, match.groups()))


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _sysctl_writable() -> bool:
    """Whether ``--disable-userns`` can do its work: in most containers /proc/sys is mounted read-only."""
    return not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY
