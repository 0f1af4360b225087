"""Compiles the tables of :mod:`outward.isolation.seccomp_table` into a seccomp filter (classic BPF, seccomp(2)).

The filter sees ``struct seccomp_data``: the call's number, the architecture and six 64-bit arguments. Every check is for
32 bits, the lower half of an argument: the kernel, too, cuts ioctl requests, families and clone flags to that.
"""

from __future__ import annotations

import errno
import os
import struct
from itertools import groupby
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.isolation import seccomp_table as table
from outward.isolation.syscalls import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outward.isolation.seccomp_table import Family, Profile
    from outward.isolation.syscalls import Architecture

Instruction = tuple[int, int, int, int]

AUDIT_ARCHITECTURE: Final[dict[Architecture, int]] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT: Final = 0x40000000

ALLOW: Final = 0x7FFF0000
KILL_PROCESS: Final = 0x80000000
ERRNO: Final = 0x00050000

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_NUMBER: Final = 0
_ARCHITECTURE: Final = 4


def program(profile: Profile = "default", machine: str | None = None) -> bytes:
    """The filter for this machine, or the named one. Raises :class:`HostError` for architectures without a table."""
    return b"".join(struct.pack("=HBBI", *each) for each in _filter(profile, architecture(machine)))


def architecture(machine: str | None = None) -> Architecture:
    """The architecture of this machine, or of the named one, if there is a table for it. Raises :class:`HostError`."""
    machine = machine or os.uname().machine
    if machine not in AUDIT_ARCHITECTURE:
        raise HostError(
            f"there is no system call filter for {machine}",
            hint="Sandboxes of processes run on x86_64 and aarch64; a virtual machine needs no such filter.",
        )
    return machine


def _filter(profile: Profile, machine: Architecture) -> Iterator[Instruction]:
    known = numbers(machine)
    yield _load(_ARCHITECTURE)
    yield from _unless_one_of((AUDIT_ARCHITECTURE[machine],), KILL_PROCESS)
    yield _load(_NUMBER)
    if machine == "x86_64":  # the x32 numbers would reach the same calls under other names
        yield from ((_AT_LEAST, 0, 1, X32_BIT), _give(KILL_PROCESS))
    yield from _unknown(sorted(known.values()))
    for call in table.refused(profile):
        if call.name in known:
            yield from _when(known[call.name], [_give(ERRNO | call.error)])
    for masked in table.refused_bits(profile):
        yield from _when(known[masked.name], _masked(masked.argument, masked.bits))
    for (name, argument), values in groupby(table.REFUSED_VALUES, lambda each: (each.name, each.argument)):
        yield from _when(known[name], _compared(argument, [each.value for each in values]))
    for name in table.SOCKET_CALLS:
        yield from _when(known[name], list(_socket()))
    yield _give(ALLOW)


def _unknown(known: Sequence[int]) -> list[Instruction]:
    """ENOSYS for every number that is not ``known``, which is sorted."""
    runs: list[tuple[int, int]] = []  # from, up to but without
    for number in known:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    body: list[Instruction] = []
    for start, end in runs:  # the highest is asked for first
        found: list[Instruction] = [(_AT_LEAST, len(body), 0, start)] if start else []
        body = [(_AT_LEAST, 0, 1, end), _give(ERRNO | errno.ENOSYS), *found, *body]
    return body


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """``body``, which must return, for the call of that number; the number stays loaded for the next check."""
    return [(_EQUAL, 0, len(body), number), *body]


def _masked(index: int, bits: int) -> list[Instruction]:
    return [_load(_argument(index)), (_ANY_BIT, 0, 1, bits), _give(ERRNO | errno.EPERM), _give(ALLOW)]


def _compared(index: int, values: Sequence[int]) -> list[Instruction]:
    body = [_load(_argument(index))]
    for value in values:
        body += _when(value, [_give(ERRNO | errno.EPERM)])
    return [*body, _give(ALLOW)]


def _socket() -> Iterator[Instruction]:
    yield _load(_argument(0))
    for family in table.FAMILIES:
        yield from _when(family.number, list(_family(family)))
    yield _give(ERRNO | errno.EAFNOSUPPORT)


def _family(family: Family) -> Iterator[Instruction]:
    if family.protocols is not None:
        yield _load(_argument(2))
        yield from _unless_one_of(family.protocols, ERRNO | errno.EPROTONOSUPPORT)
    if family.types is not None:
        yield from (_load(_argument(1)), (_AND, 0, 0, table.SOCKET_TYPES))
        yield from _unless_one_of(family.types, ERRNO | errno.ESOCKTNOSUPPORT)
    yield _give(ALLOW)


def _unless_one_of(values: Sequence[int], verdict: int) -> list[Instruction]:
    return [*((_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)), _give(verdict)]


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _give(verdict: int) -> Instruction:
    return (_RETURN, 0, 0, verdict)


def _argument(index: int) -> int:
    """Where the lower half of an argument lies; both architectures are little-endian."""
    return 16 + 8 * index
