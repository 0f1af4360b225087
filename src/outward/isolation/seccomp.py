"""Compiles the tables of :mod:`outward.isolation.seccomp_table` into a seccomp filter (classic BPF, seccomp(2)).

The filter sees ``struct seccomp_data``: the call's number, the architecture and six 64-bit arguments. Every check is for
32 bits, the lower half of an argument: the kernel, too, cuts ioctl requests, families and clone flags to that.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import TYPE_CHECKING, Final, Literal

from outward.core import HostError
from outward.isolation.seccomp_table import (
    FAMILIES,
    IOCTL,
    MASKED_ARGUMENTS,
    REFUSED,
    REFUSED_IOCTLS,
    SOCKET,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Architecture = Literal["x86_64", "aarch64"]
Instruction = tuple[int, int, int, int]

AUDIT_ARCHITECTURE: Final[dict[Architecture, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT: Final = 0x40000000

ALLOW: Final = 0x7FFF0000
KILL_PROCESS: Final = 0x80000000
ERRNO: Final = 0x00050000

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_NUMBER: Final = 0
_ARCHITECTURE: Final = 4


def program(machine: str | None = None) -> bytes:
    """The filter for this machine, or the named one. Raises :class:`HostError` for architectures without a table."""
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCHITECTURE:
        raise HostError(
            f"there is no system call filter for {machine}",
            hint="The bubblewrap backend runs on x86_64 and aarch64.",
        )
    instructions = _filter(machine)
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)


def _filter(machine: Architecture) -> Iterator[Instruction]:
    yield _load(_ARCHITECTURE)
    yield from _unless_equal(AUDIT_ARCHITECTURE[machine], KILL_PROCESS)
    yield _load(_NUMBER)
    if machine == "x86_64":  # the x32 numbers would reach the same calls under other names
        yield from ((_AT_LEAST, 0, 1, X32_BIT), _give(KILL_PROCESS))
    for call in REFUSED:
        if (number := getattr(call, machine)) is not None:
            yield from _when(number, [_give(ERRNO | call.error)])
    for masked in MASKED_ARGUMENTS:
        yield from _when(getattr(masked, machine), _masked(masked.argument, masked.bits))
    yield from _when(IOCTL[machine], list(_ioctl()))
    for number in SOCKET[machine]:
        yield from _when(number, list(_socket()))
    yield _give(ALLOW)


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """``body``, which must return, for the call of that number; the number stays loaded for the next check."""
    return [(_EQUAL, 0, len(body), number), *body]


def _masked(index: int, bits: int) -> list[Instruction]:
    return [_load(_argument(index)), (_ANY_BIT, 0, 1, bits), _give(ERRNO | errno.EPERM), _give(ALLOW)]


def _ioctl() -> Iterator[Instruction]:
    yield _load(_argument(1))
    for _, request, _ in REFUSED_IOCTLS:
        yield from _when(request, [_give(ERRNO | errno.EPERM)])
    yield _give(ALLOW)


def _socket() -> Iterator[Instruction]:
    refuse = _give(ERRNO | errno.EAFNOSUPPORT)
    yield _load(_argument(0))
    for _, family, protocol, _ in FAMILIES:
        if protocol is None:
            yield from _when(family, [_give(ALLOW)])
        else:
            yield from _when(family, [_load(_argument(2)), *_unless_equal(protocol, refuse[3]), _give(ALLOW)])
    yield refuse


def _unless_equal(value: int, verdict: int) -> list[Instruction]:
    return [(_EQUAL, 1, 0, value), _give(verdict)]


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _give(verdict: int) -> Instruction:
    return (_RETURN, 0, 0, verdict)


def _argument(index: int) -> int:
    """Where the lower half of an argument lies; both architectures are little-endian."""
    return 16 + 8 * index
