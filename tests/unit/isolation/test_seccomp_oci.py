"""What containers get says the same as what bubblewrap gets, read by us and by libseccomp, which runtimes use."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outward.core import HostError
from outward.isolation import seccomp, seccomp_oci
from outward.isolation.seccomp_table import FAMILIES, NEW_NAMESPACES, REFUSED_VALUES
from outward.isolation.syscalls import numbers
from tests.support.seccomp import AUDIT, compiled, evaluate, interpret, resolves

MACHINES = ("x86_64", "aarch64")
PROFILES = ("default", "nested")

bpf = cache(seccomp.program)
oci = cache(seccomp_oci.profile)
by_libseccomp = cache(lambda profile, machine: compiled(oci(profile, machine)))

WORDS = st.one_of(
    # What the tables speak of, their neighbours, and anything else; sometimes with something in the upper half.
    st.sampled_from(
        [
            *(number + by for family in FAMILIES for number in (family.number,) for by in (-1, 0, 1)),
            *(value for family in FAMILIES for value in (*(family.types or ()), *(family.protocols or ()))),
            *(row.value + by for row in REFUSED_VALUES for by in (-1, 0, 1)),
            *(1 << bit for bit in range(32)),
            NEW_NAMESPACES.bits,
        ]
    ),
    st.integers(0, 2**32 - 1),
)
ARGUMENTS = st.tuples(
    *[st.builds(lambda upper, lower: upper << 32 | lower, st.just(0) | st.just(1) | WORDS, WORDS)] * 3
)


def agree(machine: str, profile: str, name: str, arguments: tuple[int, ...]) -> None:
    by_bpf = interpret(bpf(profile, machine), AUDIT[machine], numbers(machine)[name], *arguments)  # type: ignore[arg-type]
    assert evaluate(oci(profile, machine), name, *arguments) == by_bpf, name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", PROFILES)
class TestBothSayTheSame:
    def test_about_every_call(self, machine, profile):
        for name in numbers(machine):
            agree(machine, profile, name, ())

    @given(data=st.data(), arguments=ARGUMENTS)
    def test_about_any_call_whatever_its_arguments(self, machine, profile, data, arguments):
        agree(machine, profile, data.draw(st.sampled_from([*numbers(machine)])), arguments)

    @given(name=st.sampled_from(["socket", "socketpair", "clone", "unshare", "ioctl", "ptrace"]), arguments=ARGUMENTS)
    @example("socket", (2, 3, 132))  # neither the type nor the protocol
    @example("ioctl", (0, 1 << 32 | 0x5412, 0))
    def test_about_calls_that_depend_on_their_arguments(self, machine, profile, name, arguments):
        agree(machine, profile, name, arguments)


@pytest.mark.needs("libseccomp")
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", PROFILES)
class TestLibseccompSaysTheSame:
    def test_about_every_call_that_it_knows(self, machine, profile):
        for name, number in numbers(machine).items():
            said = interpret(by_libseccomp(profile, machine), AUDIT[machine], number)
            expected = interpret(bpf(profile, machine), AUDIT[machine], number)
            # What it does not know is not allowed.
            assert said == (expected if resolves(name) else evaluate(oci(profile, machine), "none of them")), name

    @settings(max_examples=300)
    @given(name=st.sampled_from(["socket", "socketpair", "clone", "unshare", "ioctl", "ptrace"]), arguments=ARGUMENTS)
    def test_about_calls_that_depend_on_their_arguments(self, machine, profile, name, arguments):
        number = numbers(machine)[name]
        said = interpret(by_libseccomp(profile, machine), AUDIT[machine], number, *arguments)
        assert said == interpret(bpf(profile, machine), AUDIT[machine], number, *arguments)

    @pytest.mark.parametrize("foreign", ["i386", "arm"])
    def test_foreign_architectures_are_killed(self, machine, profile, foreign):
        for number in range(512):
            assert not interpret(by_libseccomp(profile, machine), AUDIT[foreign], number) & 0x7FFF0000

    def test_the_x32_numbers_are_killed(self, machine, profile):
        for number in range(512) if machine == "x86_64" else ():
            said = interpret(by_libseccomp(profile, machine), AUDIT[machine], number | seccomp.X32_BIT)
            assert not said & 0x7FFF0000


@given(st.sets(st.integers(0, 255), max_size=12))
def test_the_others_are_all_the_others_each_once(values):
    pairs = seccomp_oci.others(values, 0xFF)
    for number in range(256):
        assert sum(number & mask == value for mask, value in pairs) == (number not in values)


def test_it_is_json():
    for profile in PROFILES:
        assert json.loads(json.dumps(oci(profile))) == oci(profile)


def test_an_unknown_architecture_gets_none():
    with pytest.raises(HostError, match="riscv64"):
        seccomp_oci.profile(machine="riscv64")
