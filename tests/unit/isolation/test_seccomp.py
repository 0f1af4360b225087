"""The filter is run here by a small interpreter of classic BPF: every row of its tables, on both architectures."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import HostError
from outward.isolation import seccomp
from outward.isolation.seccomp_table import (
    FAMILIES,
    NAMESPACES,
    NESTED,
    NEW_NAMESPACES,
    REFUSED,
    REFUSED_VALUES,
    SOCKET_CALLS,
    refused,
)
from outward.isolation.syscalls import numbers
from tests.support.seccomp import AUDIT, interpret

MACHINES = ("x86_64", "aarch64")
PROFILES = ("default", "nested")
WORD = st.integers(0, 2**32 - 1)


def verdict(machine: str, name: str, *arguments: int, profile: str = "default") -> int:
    """What the filter for ``machine`` says about a call."""
    program = seccomp.program(profile, machine)  # type: ignore[arg-type]
    return interpret(program, AUDIT[machine], numbers(machine)[name], *arguments)  # type: ignore[arg-type]


def refusal(error: int) -> int:
    return seccomp.ERRNO | error


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", PROFILES)
class TestEveryCall:
    def test_what_no_table_names_is_allowed(self, machine, profile):
        named = {call.name for call in refused(profile)} | {*SOCKET_CALLS}
        for name in numbers(machine).keys() - named:
            assert verdict(machine, name, profile=profile) == seccomp.ALLOW, name

    def test_each_refused_call_fails_with_its_error(self, machine, profile):
        for call in refused(profile):
            if call.name in numbers(machine):
                assert verdict(machine, call.name, profile=profile) == refusal(call.error), call.name

    def test_calls_that_nobody_knows_do_not_exist(self, machine, profile):
        program, known = seccomp.program(profile, machine), {*numbers(machine).values()}
        for number in {*range(1024), seccomp.X32_BIT - 1} - known:
            assert interpret(program, AUDIT[machine], number) == refusal(errno.ENOSYS), number

    @pytest.mark.parametrize("foreign", ["i386", "arm", "other"])
    def test_another_architecture_is_killed(self, machine, profile, foreign):
        other = {"x86_64": "aarch64", "aarch64": "x86_64"}[machine] if foreign == "other" else foreign
        program = seccomp.program(profile, machine)
        for number in range(512):
            assert interpret(program, AUDIT[other], number) == seccomp.KILL_PROCESS


def test_the_kernel_takes_every_filter():
    """It takes up to 4096 instructions (BPF_MAXINSNS), none of which jumps past the end."""
    for machine in MACHINES:
        for profile in PROFILES:
            assert len(seccomp.program(profile, machine)) // 8 < 1000  # type: ignore[arg-type]


def test_the_x32_numbers_are_killed():
    program = seccomp.program("nested", "x86_64")
    for number in range(600):
        assert interpret(program, AUDIT["x86_64"], number | seccomp.X32_BIT) == seccomp.KILL_PROCESS


def test_the_numbers_are_those_of_the_kernel():
    """Some of each architecture, from the kernel's tables: a shift in ours would move the filter to other calls."""
    x86_64 = {
        "read": 0,
        "socket": 41,
        "clone": 56,
        "ptrace": 101,
        "mount": 165,
        "vserver": 236,
        "openat": 257,
        "bpf": 321,
    }
    aarch64 = {
        "ioctl": 29,
        "mount": 40,
        "read": 63,
        "ptrace": 117,
        "socket": 198,
        "clone": 220,
        "wait4": 260,
        "bpf": 280,
    }
    both = {"pidfd_send_signal": 424, "clone3": 435, "mount_setattr": 442, "futex_waitv": 449, "file_setattr": 469}
    assert numbers("x86_64").items() >= (x86_64 | both).items()
    assert numbers("aarch64").items() >= (aarch64 | both).items()


def test_every_row_names_a_call_that_exists():
    known = numbers("x86_64").keys() | numbers("aarch64").keys()
    rows = [(row.name, row.reason) for row in (*REFUSED, *NAMESPACES)]
    rows += [(row.name, row.reason) for row in (NEW_NAMESPACES, *NESTED, *REFUSED_VALUES)]
    assert {name for name, _ in rows} | {*SOCKET_CALLS} <= known
    assert all(reason for _, reason in rows)
    assert all(family.reason for family in FAMILIES)
    names = [call.name for call in (*REFUSED, *NAMESPACES)]
    assert len({*names}) == len(names)


@pytest.mark.parametrize("machine", MACHINES)
@given(ordinary=WORD, bit=st.sampled_from([1 << n for n in range(32) if NEW_NAMESPACES.bits >> n & 1]))
def test_clone_is_allowed_without_and_refused_with_any_new_namespace(machine, ordinary, bit):
    bits = NEW_NAMESPACES.bits
    assert verdict(machine, "clone", ordinary & ~bits) == seccomp.ALLOW
    assert verdict(machine, "clone", ordinary | bit) == refusal(errno.EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("call", ["clone", "unshare"])
@given(flags=WORD)
def test_nested_sandboxes_get_all_namespaces_but_those_of_control_groups(machine, call, flags):
    """As root, or as the user whose they are, whoever can mount them can write the limits, of others too."""
    expected = refusal(errno.EPERM) if flags & 0x02000000 else seccomp.ALLOW
    assert verdict(machine, call, flags, profile="nested") == expected


@pytest.mark.parametrize("call", NAMESPACES, ids=lambda call: call.name)
def test_nested_sandboxes_need_a_profile_of_their_own(call):
    assert verdict("x86_64", call.name) == refusal(errno.EPERM)
    assert verdict("x86_64", call.name, profile="nested") == seccomp.ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("row", REFUSED_VALUES, ids=lambda row: row.label)
@given(upper=WORD)
def test_values_are_refused_whatever_the_upper_half(machine, row, upper):
    """The kernel cuts an ioctl's request to 32 bits: a filter that compares all 64 lets TIOCSTI through (CVE-2019-10063)."""
    before = (0,) * row.argument
    for profile in PROFILES:
        assert verdict(machine, row.name, *before, upper << 32 | row.value, profile=profile) == refusal(errno.EPERM)
        assert verdict(machine, row.name, *before, upper << 32 | row.value + 1, profile=profile) == seccomp.ALLOW


def test_debuggers_still_trace_their_own_children():
    assert verdict("x86_64", "ptrace", 0) == seccomp.ALLOW  # PTRACE_TRACEME


@pytest.mark.parametrize("machine", MACHINES)
@given(family=WORD, protocol=WORD)
def test_only_listed_families_and_their_protocols_give_sockets(machine, family, protocol):
    listed = {row.number: row.protocols for row in FAMILIES}
    expected = refusal(errno.EAFNOSUPPORT)
    if family in listed:
        protocols = listed[family]
        fits = protocols is None or protocol in protocols
        expected = seccomp.ALLOW if fits else refusal(errno.EPROTONOSUPPORT)
    for name in SOCKET_CALLS:
        assert verdict(machine, name, family, 1, protocol) == expected


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("family", [2, 10])
@given(kind=st.integers(0, 15), flags=st.sampled_from([0, 0o4000, 0o2000000, 0o2004000]))
def test_the_internet_has_streams_and_datagrams_only(machine, family, kind, flags):
    """SOCK_RAW in a namespace of one's own would otherwise do for whoever has a capability there."""
    expected = seccomp.ALLOW if kind in {1, 2} else refusal(errno.ESOCKTNOSUPPORT)
    assert verdict(machine, "socket", family, kind | flags, 0) == expected


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            (40, 1, 0),
            errno.EAFNOSUPPORT,
        ),  # AF_VSOCK ignores network namespaces: a virtual machine's host would be reachable
        ((17, 3, 0x300), errno.EAFNOSUPPORT),  # AF_PACKET
        ((38, 5, 0), errno.EAFNOSUPPORT),  # AF_ALG
        ((16, 3, 12), errno.EPROTONOSUPPORT),  # NETLINK_NETFILTER
        ((16, 3, 2), errno.EPROTONOSUPPORT),  # NETLINK_USERSOCK
        ((2, 3, 1), errno.EPROTONOSUPPORT),  # raw ICMP
        ((2, 3, 6), errno.ESOCKTNOSUPPORT),  # raw TCP
        ((2, 1, 132), errno.EPROTONOSUPPORT),  # SCTP
        ((2, 1, 262), errno.EPROTONOSUPPORT),  # MPTCP: Go takes this error for "not on this machine"
    ],
)
def test_these_sockets_are_refused(machine, arguments, error):
    for profile in PROFILES:
        assert verdict(machine, "socket", *arguments, profile=profile) == refusal(error)


def test_an_unknown_architecture_gets_no_filter_and_no_sandbox():
    with pytest.raises(HostError, match="riscv64"):
        seccomp.program(machine="riscv64")
