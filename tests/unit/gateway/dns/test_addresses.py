"""Addresses stand for names, and for nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outward.gateway.dns.addresses import POOL, POOL6, Addresses, is_pooled


def test_a_name_keeps_its_addresses_and_they_lead_back():
    addresses = Addresses(ipv6=True)
    first, second = addresses.ipv4_of("a.test"), addresses.ipv4_of("b.test")
    assert first != second
    assert addresses.ipv4_of("a.test") == first
    for address in (first, addresses.ipv6_of("a.test")):
        assert addresses.name_at(str(address)) == "a.test"
    assert addresses.name_at(str(addresses.ipv6_of("b.test"))) == "b.test"


def test_what_was_never_given_stands_for_nothing():
    addresses = Addresses(ipv6=True)
    addresses.ipv4_of("a.test")
    for address in ("198.18.0.0", "198.18.0.2", "198.19.255.255", "203.0.113.1", "::1", "fd6f:7574:7764::9"):
        assert addresses.name_at(address) is None


def test_pools():
    assert is_pooled("198.19.1.1")
    assert is_pooled("fd6f:7574:7764::1")
    assert not is_pooled("198.20.0.1")
    assert not is_pooled("fd00::1")
    assert not POOL.is_global
    assert not POOL6.is_global


def test_who_was_not_used_for_longest_makes_room():
    addresses = Addresses(ipv6=True, limit=2)
    old, kept = addresses.ipv4_of("old.test"), addresses.ipv4_of("kept.test")
    assert addresses.name_at(str(old)) == "old.test", "a connection is a use"
    new = addresses.ipv4_of("new.test")
    assert addresses.name_at(str(kept)) is None
    assert addresses.name_at(str(old)) == "old.test"
    assert new not in {old, kept}, "an address does not mean something else at once"


@given(st.lists(st.sampled_from([f"{letter}.test" for letter in "abcdefgh"])), st.integers(1, 6))
def test_no_two_names_ever_share_an_address(asked, limit):
    addresses = Addresses(ipv6=True, limit=limit)
    given_to: dict[str, str] = {}
    for name in asked:
        address = str(addresses.ipv4_of(name))
        assert given_to.setdefault(address, name) == name
        assert addresses.name_at(address) == name
