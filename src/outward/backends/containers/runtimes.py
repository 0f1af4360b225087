"""Which of a docker daemon's runtimes runs the command: what is registered there, and whether a cage reaches into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from outward.core import HostError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAIN: Final = "runc"
"""The runtime that every daemon has."""

_ON_THIS_KERNEL: Final = ("runc", "crun")
_GVISOR: Final = "runsc"

_OPENING: Final = ("host-uds", "fsgofer-host-uds", "host-fifo", "net-raw")
"""runsc's flags by which something of the host is reached past the cage: its unix sockets, its pipes, raw packets."""
_CLOSED: Final = ("none", "false")

_REGISTER: Final = (
    'Register it in /etc/docker/daemon.json: "runtimes": {"runsc": {"path": "/usr/bin/runsc", '
    '"runtimeArgs": ["--network=host"]}} (Debian 12\'s version wants "--platform=ptrace", too), and restart the daemon.'
)


class Runtime(NamedTuple):
    """A runtime by its ``name`` at the daemon, if one was asked for. ``gvisor`` says that it has a kernel of its own."""

    name: str | None
    gvisor: bool

    @property
    def arguments(self) -> tuple[str, ...]:
        """For the command's container."""
        return () if self.name is None else (f"--runtime={self.name}",)

    @property
    def holding(self) -> tuple[str, ...]:
        """For that of the holder, whose namespaces are the host kernel's."""
        return (f"--runtime={PLAIN}",) if self.gvisor else self.arguments


def of_gvisor(info: Mapping[str, Any]) -> list[str]:
    """The names of those that are gVisor's, whether or not they would do."""
    return sorted(name for name, found in (info.get("Runtimes") or {}).items() if _program(found) == _GVISOR)


def choose(asked: str | None, info: Mapping[str, Any]) -> Runtime:
    """The runtime ``asked`` for, or the daemon's own choice; ``info`` is what it says of itself.

    Raises :class:`HostError` for one that the daemon does not have, that nobody here knows, or that would not be in the cage.
    """
    name = asked or info.get("DefaultRuntime") or PLAIN
    found = (info.get("Runtimes") or {}).get(name)
    if found is None and asked is not None:
        raise HostError(f"docker's daemon has no runtime {name}", hint=_REGISTER)
    program = _program(found or {})
    if program == _GVISOR:
        _in_cage(name, (found or {}).get("runtimeArgs") or ())
        return Runtime(name, gvisor=True)
    if asked is not None and program not in _ON_THIS_KERNEL:
        raise HostError(
            f"docker's runtime {name} is {program or 'registered without a path'}: whether the cage holds there is not known",
            hint=f"By the paths that they are registered with, {_GVISOR} and {' and '.join(_ON_THIS_KERNEL)} are known.",
        )
    return Runtime(asked, gvisor=False)


def _program(found: Mapping[str, Any]) -> str:
    return str(found.get("path") or "").rpartition("/")[2]


def _in_cage(name: str, arguments: Sequence[str]) -> None:
    flags = _flags(arguments)
    network = flags.get("network", "sandbox")
    if network != "host":
        raise HostError(
            f"docker's runtime {name} has a network of gVisor's own (--network={network}): the gateway is not in it",
            hint=f"With --network=host it has that of its container, which is the cage. {_REGISTER}",
        )
    for flag in _OPENING:
        if flags.get(flag, "none") not in _CLOSED:
            raise HostError(
                f"docker's runtime {name} lets containers out of the cage: --{flag}",
                hint="Register another one without it in /etc/docker/daemon.json.",
            )


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """Flags as Go's package `flag` reads them, with one dash or two. Values in words of their own are not looked for: then it is
    one that nothing here accepts."""
    words = (word.lstrip("-").partition("=") for word in arguments)
    return {name: value if given else "true" for name, given, value in words}
