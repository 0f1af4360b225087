"""The tables of :mod:`outward.isolation.seccomp_table` as a seccomp profile for containers.

The format is that of the OCI runtime specification (config-linux.md, "Seccomp"), which docker and podman read from a file.
Their runtimes compile it with libseccomp, where a rule may look at each argument once, and rules for the same call must not
overlap if they say different things; comparing with a mask of 32 bits is what the kernel does (CVE-2019-10063).
"""

from __future__ import annotations

import errno
from itertools import groupby, product
from typing import TYPE_CHECKING, Any, Final

from outward.isolation import seccomp
from outward.isolation import seccomp_table as table
from outward.isolation.syscalls import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from outward.isolation.seccomp_table import Profile

Masked = tuple[int, int]
"""A mask, and what an argument is under it."""

_WORD: Final = 0xFFFFFFFF


def profile(name: Profile = "default", machine: str | None = None) -> dict[str, Any]:
    """The profile for this machine, or the named one, to be written as JSON. It says the same as
    :func:`outward.isolation.seccomp.program`, and raises the same error.

    Foreign architectures, i386 and x32 among them, are not listed: libseccomp kills who uses them.
    """
    architecture = seccomp.architecture(machine)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.ENOSYS,
        "architectures": [f"SCMP_ARCH_{architecture.upper()}"],
        "syscalls": [*_whole(name, numbers(architecture)), *_flags(name), *_values(), *_sockets()],
    }


def _whole(name: Profile, known: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    refused = {call.name: call.error for call in table.refused(name) if call.name in known}
    parted = {bits.name for bits in table.refused_bits(name)} | {each.name for each in table.REFUSED_VALUES}
    yield _allow(sorted(known.keys() - refused.keys() - parted - {*table.SOCKET_CALLS}))
    for error in sorted(set(refused.values()) - {errno.ENOSYS}):
        yield _refuse([call for call in refused if refused[call] == error], error)
    # The default says the same. Engines that do not know `defaultErrnoRet` take EPERM, at which libc would not use clone.
    yield _refuse([call for call in refused if refused[call] == errno.ENOSYS], errno.ENOSYS)


def _flags(name: Profile) -> Iterator[dict[str, Any]]:
    for call, argument, bits, _ in table.refused_bits(name):
        yield _allow([call], {argument: (bits, 0)})
        for bit in (1 << position for position in range(32)):
            if bits & bit:
                yield _refuse([call], errno.EPERM, {argument: (bit, bit)})


def _values() -> Iterator[dict[str, Any]]:
    for (call, argument), group in groupby(table.REFUSED_VALUES, lambda each: (each.name, each.argument)):
        values = {each.value for each in group}
        for value in values:
            yield _refuse([call], errno.EPERM, {argument: (_WORD, value)})
        for other in others(values, _WORD):
            yield _allow([call], {argument: other})


def _sockets() -> Iterator[dict[str, Any]]:
    calls = [*table.SOCKET_CALLS]
    for family in table.FAMILIES:
        it = {0: (_WORD, family.number)}
        protocols = _one_of(2, family.protocols, _WORD)
        types = _one_of(1, family.types, table.SOCKET_TYPES)
        for protocol, kind in product(protocols, types):
            yield _allow(calls, it | protocol | kind)
        for protocol in _none_of(2, family.protocols, _WORD):
            yield _refuse(calls, errno.EPROTONOSUPPORT, it | protocol)
        for protocol, kind in product(protocols, _none_of(1, family.types, table.SOCKET_TYPES)):
            yield _refuse(calls, errno.ESOCKTNOSUPPORT, it | protocol | kind)
    for other in others({family.number for family in table.FAMILIES}, _WORD):
        yield _refuse(calls, errno.EAFNOSUPPORT, {0: other})


def _one_of(argument: int, values: tuple[int, ...] | None, mask: int) -> list[dict[int, Masked]]:
    return [{}] if values is None else [{argument: (mask, value)} for value in values]


def _none_of(argument: int, values: tuple[int, ...] | None, mask: int) -> list[dict[int, Masked]]:
    return [] if values is None else [{argument: other} for other in others(values, mask)]


def others(values: Iterable[int], mask: int) -> list[Masked]:
    """All numbers below ``mask`` + 1, a power of two, but ``values``: no number in two of the pairs.

    A profile has no "is none of": what is left of the numbers is halved until a half is free of ``values``.
    """

    def halve(values: set[int], prefix: int, size: int) -> Iterator[Masked]:
        if not values:
            yield (mask & -size, prefix)
        elif size > 1:
            half = size // 2
            for start in (prefix, prefix + half):
                yield from halve({value for value in values if start <= value < start + half}, start, half)

    return list(halve(set(values), 0, mask + 1))


def _allow(names: list[str], arguments: dict[int, Masked] | None = None) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": _args(arguments or {})}


def _refuse(names: list[str], error: int, arguments: dict[int, Masked] | None = None) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": _args(arguments or {})}


def _args(arguments: dict[int, Masked]) -> list[dict[str, Any]]:
    return [
        {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
        for index, (mask, value) in sorted(arguments.items())
    ]
