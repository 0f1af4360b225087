"""The steps that build a sandbox's file system, in order.

Each is a plain value with two readings: ``arguments`` for the tool that executes it and ``describe`` for people, so that a
dry run shows exactly what would be done. ``hold`` gives the number of a descriptor from which the tool reads a content.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Operation(Protocol):
    """One step."""

    def arguments(self, hold: Callable[[bytes], int]) -> tuple[str, ...]:
        """The arguments that make bubblewrap do it."""

    def describe(self) -> str:
        """One line for people."""


class Bind(NamedTuple):
    """Shows the host's ``source`` at ``target``, if it is there where that is ``optional``.

    Device files are dead and set-user-id bits without effect there.
    """

    source: str
    target: str
    writable: bool = False
    optional: bool = False

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--bind`` or ``--ro-bind``, or those that only try."""
        option = "--bind" if self.writable else "--ro-bind"
        return (f"{option}-try" if self.optional else option, self.source, self.target)

    def describe(self) -> str:
        """``read-write /work`` or ``read-only /etc/hosts (from /state/hosts)``."""
        access = "read-write" if self.writable else "read-only"
        origin = "" if self.source == self.target else f"  (from {self.source})"
        return f"{access:<11}{self.target}{origin}"

    @property
    def missing(self) -> bool:
        """Whether it is one that shows nothing, since there is nothing."""
        return self.optional and not os.path.exists(self.source)  # noqa: PTH110 (start-up)


class Device(NamedTuple):
    """The host's device file ``path``, to be used."""

    path: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--dev-bind``."""
        return ("--dev-bind", self.path, self.path)

    def describe(self) -> str:
        """``device /dev/kvm``."""
        return f"{'device':<11}{self.path}"


class File(NamedTuple):
    """A file in memory, read-only like the root that it lies in, and gone with the sandbox.

    Far cheaper than a bind: for each mount bubblewrap reads the whole table of them again.
    """

    path: str
    content: bytes

    def arguments(self, hold: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--file`` with its permissions."""
        return ("--perms", "0444", "--file", str(hold(self.content)), self.path)

    def describe(self) -> str:
        """``file /etc/hosts``."""
        return f"{'file':<11}{self.path}"


class Symlink(NamedTuple):
    """A symbolic link at ``path`` with the text ``target``."""

    target: str
    path: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--symlink``."""
        return ("--symlink", self.target, self.path)

    def describe(self) -> str:
        """``link /bin -> usr/bin``."""
        return f"{'link':<11}{self.path} -> {self.target}"


class Fresh(NamedTuple):
    """An empty, writable directory in memory, gone with the sandbox. ``size`` in octets; without, half of the memory."""

    path: str
    mode: str = "0755"
    size: int | None = None

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--tmpfs`` with its permissions."""
        size = () if self.size is None else ("--size", str(self.size))
        return ("--perms", self.mode, *size, "--tmpfs", self.path)

    def describe(self) -> str:
        """``fresh /tmp``."""
        most = "" if self.size is None else f"  (at most {self.size} octets)"
        return f"{'fresh':<11}{self.path}{most}"


class Directory(NamedTuple):
    """A directory on whatever is there."""

    path: str
    mode: str = "0755"

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--dir`` with its permissions."""
        return ("--perms", self.mode, "--dir", self.path)

    def describe(self) -> str:
        """``directory /var/tmp``."""
        return f"{'directory':<11}{self.path}"


class Hide(NamedTuple):
    """Covers ``path`` with something empty and read-only: ``empty`` is a file, or a directory, of that kind.

    Binding ``/dev/null`` would not do: without device access, reading it is an error that programs do not expect.
    """

    path: str
    empty: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--ro-bind`` of the empty thing."""
        return ("--ro-bind", self.empty, self.path)

    def describe(self) -> str:
        """``hidden /work/.env``."""
        return f"{'hidden':<11}{self.path}"


class Layered(NamedTuple):
    """A directory over which a layer lies before the tool starts, so that writes to it go elsewhere. The tool has no part."""

    path: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """None."""
        return ()

    def describe(self) -> str:
        """``layered /work``."""
        return f"{'layered':<11}{self.path}"


class Absent(NamedTuple):
    """A path that does not exist in a layer. The tool has no part."""

    path: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """None."""
        return ()

    def describe(self) -> str:
        """``absent /work/.env``."""
        return f"{'absent':<11}{self.path}"


class Seal(NamedTuple):
    """Makes the mount at ``path`` itself read-only, not what is mounted below it."""

    path: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--remount-ro``."""
        return ("--remount-ro", self.path)

    def describe(self) -> str:
        """``sealed /``."""
        return f"{'sealed':<11}{self.path}"


class Kernel(NamedTuple):
    """A new ``/proc`` or a minimal ``/dev``."""

    kind: str
    path: str

    def arguments(self, _: Callable[[bytes], int]) -> tuple[str, ...]:
        """``--proc`` or ``--dev``."""
        return (f"--{self.kind}", self.path)

    def describe(self) -> str:
        """``new proc /proc``."""
        return f"{'new ' + self.kind:<11}{self.path}"


def target_of(operation: Operation) -> str:
    """Where it puts something; empty for those that put nothing anywhere."""
    return operation.target if isinstance(operation, Bind) else getattr(operation, "path", "")
