"""Two readers of system call filters: an interpreter of classic BPF, and one of OCI profiles.

And what container runtimes do with a profile: libseccomp, by its C interface, makes it a filter, which the first one reads.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from itertools import pairwise
from typing import Any, Final

from outward.isolation import seccomp

AUDIT: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}

Call = tuple[int, ...]
"""A number and up to six arguments."""


def interpret(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What a filter says about a call (kernel/bpf, the instructions that filters use)."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *(0,) * (6 - len(arguments)))
    instructions = list(struct.iter_unpack("=HBBI", program))
    counter, accumulator = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[counter]
        counter += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                accumulator &= constant
            case 0x05:
                counter += constant
            case 0x15:
                counter += if_true if accumulator == constant else if_false
            case 0x25:
                counter += if_true if accumulator > constant else if_false
            case 0x35:
                counter += if_true if accumulator >= constant else if_false
            case 0x45:
                counter += if_true if accumulator & constant else if_false
            case 0x06:
                return int(constant)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def evaluate(profile: dict[str, Any], name: str, *arguments: int) -> int:
    """What an OCI profile says about a call, as the value that a filter would return. Rules may not contradict each other."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    said = {
        _verdict(rule["action"], rule.get("errnoRet"))
        for rule in profile["syscalls"]
        if name in rule["names"] and all(_matches(each, padded) for each in rule["args"])
    }
    assert len(said) <= 1, f"rules for {name}{arguments} contradict each other"
    return said.pop() if said else _verdict(profile["defaultAction"], profile["defaultErrnoRet"])


def _matches(condition: dict[str, Any], arguments: Call) -> bool:
    assert condition["op"] == "SCMP_CMP_MASKED_EQ"
    assert condition["valueTwo"] & ~condition["value"] == 0
    return bool(arguments[condition["index"]] & condition["value"] == condition["valueTwo"])


def _verdict(action: str, error: int | None) -> int:
    return {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_ERRNO": seccomp.ERRNO | (error or errno.EPERM)}[action]


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


_MASKED_EQ: Final = 7
_ARCHITECTURES: Final = {"SCMP_ARCH_X86_64": AUDIT["x86_64"], "SCMP_ARCH_AARCH64": AUDIT["aarch64"]}


def compiled(profile: dict[str, Any]) -> bytes:
    """The filter that libseccomp makes of a profile, used as runc uses it: what the library does not know is left out, and so
    is what the default says anyway."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    default = _verdict(profile["defaultAction"], profile["defaultErrnoRet"])
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
    tokens = [_ARCHITECTURES[name] for name in profile["architectures"]]
    library.seccomp_arch_native.restype = ctypes.c_uint32
    native = library.seccomp_arch_native()
    for token in tokens:
        if token != native:
            assert library.seccomp_arch_add(context, ctypes.c_uint32(token)) == 0
            assert library.seccomp_arch_remove(context, ctypes.c_uint32(native)) == 0
    for rule in profile["syscalls"]:
        action = _verdict(rule["action"], rule.get("errnoRet"))
        indices = [each["index"] for each in rule["args"]]
        assert all(one < other for one, other in pairwise(indices)), "an argument is looked at once in a rule"
        comparisons = (_Comparison * len(indices))(
            *(_Comparison(each["index"], _MASKED_EQ, each["value"], each["valueTwo"]) for each in rule["args"])
        )
        for name in rule["names"] if action != default else ():
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != -1:  # __NR_SCMP_ERROR
                result = library.seccomp_rule_add_array(
                    context, ctypes.c_uint32(action), number, len(indices), comparisons
                )
                assert result == 0, (name, os.strerror(-result))
    try:
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _exported(library: ctypes.CDLL, context: ctypes.c_void_p) -> bytes:
    with open(os.memfd_create("filter"), "r+b") as file:  # noqa: PTH123 (a descriptor)
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        file.seek(0)
        return file.read()


def resolves(name: str) -> bool:
    """Whether libseccomp of this machine knows the call."""
    return bool(ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(name.encode()) != -1)
