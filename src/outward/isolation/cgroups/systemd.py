"""Groups made by systemd: a transient scope, which ends with its last process, whatever becomes of us.

Where systemd runs, the hierarchy is its own; it makes scopes for users as well (org.freedesktop.systemd1(5),
``StartTransientUnit``; systemd.resource-control(5)). It is asked by its own client.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.isolation.cgroups.groups import CONTROLLERS, own_name, words
from outward.isolation.cgroups.nowhere import Nowhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outward.core import Limits

PATIENCE: Final = 10.0
"""Seconds in which the scope must be there."""

_PAUSE: Final = 0.005
_CLIENTS: Final = ("/usr/bin/busctl", "/bin/busctl", "/usr/local/bin/busctl", "/run/current-system/sw/bin/busctl")
_MANAGER: Final = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
    "StartTransientUnit",
    "ssa(sv)a(sa(sv))",
)
_OPTIONAL: Final = (("OOMPolicy", "s", "continue"),)
"""Since systemd 253, which would otherwise end a scope with the first of its processes that memory kills."""

_FILES: Final = {"memory": "memory.max", "cpus": "cpu.max", "pids": "pids.max"}
_HINT: Final = "Look at `systemctl --user status`; without `sandbox.limits` in the policy no scope is needed."

_NO_MANAGER: Final = Nowhere(
    "systemd runs no manager for this user",
    "Log in (su, sudo and cron are no log-in), or have it always: sudo loginctl enable-linger USER.",
)
_NO_BUS_OF_USER: Final = Nowhere(
    "this user's systemd cannot be asked, for want of a D-Bus",
    "Install the user's D-Bus (package `dbus-user-session`), and log in again.",
)
_NO_BUS: Final = Nowhere("systemd cannot be asked, for want of a D-Bus", "Install D-Bus (package `dbus`).")


class Systemd(NamedTuple):
    """The manager of the system (root) or of this user. ``client`` is busctl, ``top`` the mounted hierarchy."""

    client: str
    top: Path
    holds: frozenset[str]
    user: int

    @property
    def reason(self) -> str:
        """Why not the others."""
        return "systemd does not delegate the controller to users"

    @property
    def remedy(self) -> str:
        """What would help."""
        return "Set Delegate=cpu memory pids for user@.service (systemctl edit user@.service), and log in again."

    @contextmanager
    def group(self, limits: Limits) -> Iterator[Callable[[int], None]]:
        """See :class:`~outward.isolation.cgroups.place.Place`. A scope begins with its first process."""
        asked = limits.without(CONTROLLERS.keys() - self.holds)
        yield lambda pid: self._take(pid, asked)

    def _take(self, pid: int, limits: Limits) -> None:
        import subprocess  # here: starts must be quick, and most have no such limits

        name = f"{own_name()}.scope"
        try:
            said = ""
            for optional in (_OPTIONAL, ()):
                asked = subprocess.run(
                    [*self._command(), *_request(name, pid, limits, optional)],
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    env={"XDG_RUNTIME_DIR": f"/run/user/{self.user}"},
                )
                if asked.returncode == 0:
                    self._verify(name, pid, limits)
                    return
                said = said or asked.stderr.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"systemd cannot be asked for a scope: {error}", hint=_HINT) from error
        raise HostError(f"systemd makes no scope for the sandbox: {said}", hint=_HINT)

    def describe(self) -> str:
        """For people."""
        return f"scopes of systemd, for {', '.join(sorted(self.holds))}"

    def _command(self) -> tuple[str, ...]:
        return (self.client, "--user", "call") if self.user else (self.client, "call")

    def _verify(self, name: str, pid: int, limits: Limits) -> None:
        """The answer comes before the scope is there. Waits until the kernel says that all of it is."""
        files = [_FILES[limit] for limit in _FILES if getattr(limits, limit) is not None]
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                own = next(line for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line[:3] == "0::")
                group = self.top / own[3:].lstrip("/")
                if group.name == name and all((group / file).read_text().split()[0] != "max" for file in files):
                    return
            if time.monotonic() > deadline:
                raise HostError(f"systemd made no scope {name} with these limits", hint=_HINT)
            time.sleep(_PAUSE)


def find(top: Path, *, run: Path = Path("/run"), user: int | None = None) -> Systemd | Nowhere | None:
    """The manager that would make a scope for us, or why it cannot be asked; nothing on a machine that is not systemd's.

    ``top`` is the mounted hierarchy of version 2, ``run`` the directory in which managers have their sockets.
    """
    user = os.geteuid() if user is None else user
    client = next((path for path in _CLIENTS if os.access(path, os.X_OK)), None)
    if (
        client is None
        or not (run / "systemd/system").is_dir()
        # Where version 1 has them, no scope has any.
        or {*CONTROLLERS.values()}.isdisjoint(words(top / "cgroup.controllers"))
    ):
        return None
    # Root's scopes lie in system.slice; a user's in the part that is delegated to the user's manager.
    part = top / f"user.slice/user-{user}.slice/user@{user}.service" if user else top
    if not part.is_dir():
        return _NO_MANAGER
    if not (run / (f"user/{user}/bus" if user else "dbus/system_bus_socket")).exists():
        return _NO_BUS_OF_USER if user else _NO_BUS
    delegated = words(part / "cgroup.controllers")
    return Systemd(client, top, frozenset(limit for limit, name in CONTROLLERS.items() if name in delegated), user)


def _request(name: str, pid: int, limits: Limits, optional: tuple[tuple[str, ...], ...]) -> list[str]:
    """The call's arguments: the scope's name, what to do if there is one, its properties, no other units."""
    properties: list[tuple[str, ...]] = [
        ("Description", "s", "Outward sandbox"),
        ("PIDs", "au", "1", str(pid)),
        ("CollectMode", "s", "inactive-or-failed"),
        *optional,
    ]
    if limits.memory is not None:
        properties += [("MemoryMax", "t", str(limits.memory)), ("MemorySwapMax", "t", "0")]
    if limits.cpus is not None:
        properties.append(("CPUQuotaPerSecUSec", "t", str(int(limits.cpus * 1_000_000))))
    if limits.pids is not None:
        properties.append(("TasksMax", "t", str(limits.pids)))
    words = [word for each in properties for word in each]
    return [*_MANAGER, name, "fail", str(len(properties)), *words, "0"]
