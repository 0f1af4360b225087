"""What is to be started, whatever confines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from outward.isolation.operations import Operation
    from outward.isolation.seccomp_table import Profile


class Launch(NamedTuple):
    """A command and all that it gets.

    ``operations`` build the file system, in order. ``environment`` is the whole of it. ``directory`` is where the command
    starts. ``terminal`` gives it standard input as its controlling terminal. ``seccomp`` is the profile of system calls.
    """

    command: tuple[str, ...]
    operations: tuple[Operation, ...]
    environment: dict[str, str]
    directory: str
    terminal: bool
    seccomp: Profile = "default"
