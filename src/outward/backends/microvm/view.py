"""The operations around QEMU: what it needs itself, and the view that the machine mounts, below one directory.

QEMU runs in the process sandbox. What it shows the machine is a directory there, without a ``/proc`` or a device in it: whatever
the machine asks for by 9p, and whatever takes QEMU over, is confined to the view.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.backends.microvm.acceleration import KVM
from outward.backends.microvm.guest import RESOLVER, to_gateway
from outward.isolation import system
from outward.isolation.operations import (
    Absent,
    Bind,
    Device,
    Directory,
    File,
    Fresh,
    Hide,
    Kernel,
    Layered,
    Seal,
    Symlink,
)
from outward.isolation.rooted import rooted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outward.isolation.operations import Operation

ROOT: Final = "/guest"
_EMPTY: Final = ("/dev", "/proc", "/sys")


def around(operations: Sequence[Operation], *, kvm: bool, root: Path | None = None) -> Iterator[Operation]:
    """The whole, in order. ``root`` is that of an image, whose files are seen beside what ``operations`` show."""
    for path in system.SYSTEM:
        if os.path.islink(path):  # noqa: PTH114 (start-up, as below)
            yield Symlink(os.readlink(path), path)  # noqa: PTH115
        elif os.path.isdir(path):  # noqa: PTH112
            yield Bind(path, path)
    with suppress(FileNotFoundError):  # not every C library has one
        yield File("/etc/ld.so.cache", Path("/etc/ld.so.cache").read_bytes())
    yield File("/etc/resolv.conf", system.GENERATED["resolv.conf"].encode())
    yield Kernel("proc", "/proc")
    yield Kernel("dev", "/dev")
    if kvm:
        yield Device(KVM)
    yield Directory(ROOT)
    for path in _EMPTY:
        yield Directory(f"{ROOT}{path}")
    for operation in (*rooted(root, operations), *operations) if root is not None else operations:
        yield from _below(operation)
    yield Seal("/")


def _below(operation: Operation) -> Iterator[Operation]:
    """``operation`` in the directory that the machine sees."""
    if isinstance(operation, Bind):
        if not operation.target.startswith("/proc/"):
            yield operation._replace(target=f"{ROOT}{operation.target}")
    elif isinstance(operation, Hide):
        if not operation.path.startswith("/proc/"):
            yield operation._replace(path=f"{ROOT}{operation.path}")
    elif isinstance(operation, Fresh):  # the machine's own memory, see guest.py
        if not operation.path.startswith("/dev/"):
            yield Directory(f"{ROOT}{operation.path}")
    elif isinstance(operation, File):
        yield File(f"{ROOT}{operation.path}", _content(operation))
    elif isinstance(operation, (Symlink, Directory)):
        yield operation._replace(path=f"{ROOT}{operation.path}")
    elif isinstance(operation, (Layered, Absent)):
        yield operation
    elif not isinstance(operation, (Kernel, Seal)):  # the machine has a kernel of its own
        raise TypeError(f"nothing like {operation!r} in a machine")


def _content(file: File) -> bytes:
    if file.path == "/etc/resolv.conf":
        return f"# Answered by the gateway: names that the policy knows, no others.\nnameserver {RESOLVER}\n".encode()
    return to_gateway(file.content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
