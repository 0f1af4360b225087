"""The filter is run here by a small interpreter of classic BPF: every row of its tables, on both architectures."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import HostError
from outward.isolation import seccomp
from outward.isolation.seccomp_table import (
    FAMILIES,
    IOCTL,
    MASKED_ARGUMENTS,
    NEW_NAMESPACES,
    REFUSED,
    REFUSED_IOCTLS,
    SOCKET,
)

MACHINES = ("x86_64", "aarch64")
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}
GETPID = {"x86_64": 39, "aarch64": 172}


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter for ``machine`` says about a call (kernel/bpf, the instructions that the filter uses)."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, AUDIT[machine] if architecture is None else architecture, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    counter, accumulator = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[counter]
        counter += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, constant)
            case 0x15:
                counter += if_true if accumulator == constant else if_false
            case 0x35:
                counter += if_true if accumulator >= constant else if_false
            case 0x45:
                counter += if_true if accumulator & constant else if_false
            case 0x06:
                return int(constant)
            case _:
                pytest.fail(f"unknown instruction {code:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_an_ordinary_call_is_allowed(machine):
    assert verdict(machine, GETPID[machine]) == seccomp.ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", REFUSED, ids=lambda call: call.name)
def test_each_refused_call_fails_with_its_error(machine, call):
    number = getattr(call, machine)
    assert verdict(machine, number) == seccomp.ERRNO | call.error


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_is_killed(machine):
    assert verdict(machine, GETPID[machine], architecture=AUDIT["i386"]) == seccomp.KILL_PROCESS


def test_the_x32_numbers_are_killed():
    assert verdict("x86_64", GETPID["x86_64"] | seccomp.X32_BIT) == seccomp.KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("masked", MASKED_ARGUMENTS, ids=lambda masked: masked.name)
@given(ordinary=st.integers(0, 2**32 - 1), bit=st.sampled_from([1 << n for n in range(32) if NEW_NAMESPACES >> n & 1]))
def test_clone_is_allowed_without_and_refused_with_any_new_namespace(machine, masked, ordinary, bit):
    number = getattr(masked, machine)
    assert verdict(machine, number, ordinary & ~masked.bits) == seccomp.ALLOW
    assert verdict(machine, number, ordinary | bit) == seccomp.ERRNO | errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
@given(upper=st.integers(0, 2**32 - 1))
def test_ioctls_are_refused_whatever_the_upper_half_of_the_request(machine, upper):
    """The kernel cuts the request to 32 bits: a filter that compares all 64 lets TIOCSTI through (CVE-2019-10063)."""
    for _, request, _ in REFUSED_IOCTLS:
        assert verdict(machine, IOCTL[machine], 0, upper << 32 | request) == seccomp.ERRNO | errno.EPERM
    assert verdict(machine, IOCTL[machine], 0, upper << 32 | 0x5401) == seccomp.ALLOW  # TCGETS


@pytest.mark.parametrize("machine", MACHINES)
@given(family=st.integers(0, 2**32 - 1), protocol=st.integers(0, 2**32 - 1))
def test_only_listed_families_and_their_protocols_give_sockets(machine, family, protocol):
    listed = {number: only for _, number, only, _ in FAMILIES}
    allowed = family in listed and listed[family] in {None, protocol}
    expected = seccomp.ALLOW if allowed else seccomp.ERRNO | errno.EAFNOSUPPORT
    for number in SOCKET[machine]:
        assert verdict(machine, number, family, 1, protocol) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_netlink_is_for_routes_only(machine):
    socket = SOCKET[machine][0]
    assert verdict(machine, socket, 16, 3, 0) == seccomp.ALLOW
    assert verdict(machine, socket, 16, 3, 12) == seccomp.ERRNO | errno.EAFNOSUPPORT  # NETLINK_NETFILTER


@pytest.mark.parametrize("machine", MACHINES)
def test_vsock_is_refused(machine):
    """Virtual machine sockets ignore network namespaces: the host of a virtual machine would be reachable."""
    assert verdict(machine, SOCKET[machine][0], 40, 1, 0) == seccomp.ERRNO | errno.EAFNOSUPPORT


def test_numbers_are_not_used_twice():
    for machine in MACHINES:
        numbers = [getattr(call, machine) for call in REFUSED]
        assert len(set(numbers)) == len(numbers)


def test_an_unknown_architecture_gets_no_filter_and_no_sandbox():
    with pytest.raises(HostError, match="riscv64"):
        seccomp.program("riscv64")
