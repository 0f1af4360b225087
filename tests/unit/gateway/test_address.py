"""Which addresses may be dialled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.gateway.address import refusal


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "2002:5db8:d822::1"])
def test_public_addresses(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "168.63.129.16", "192.0.2.1", "::", "::1", "fe80::1", "fd00:ec2::254", "fc00::1", "ff02::1", "fec0::1",
        "2001:db8::1", "4000::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a9fe:a9fe::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert refusal(address)


PRIVATE = [ip_network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")]


@given(st.sampled_from(PRIVATE), st.integers(0, 2**32))
def test_no_disguise_helps(network: object, offset: int) -> None:
    inner = IPv4Address(int(network.network_address) + offset % network.num_addresses)  # type: ignore[attr-defined]
    assert refusal(str(inner))
    for disguise in (0xFFFF << 32, 0x64FF9B << 96, 0):
        assert refusal(str(IPv6Address(disguise | int(inner)))), "mapped, NAT64, compatible"
    assert refusal(str(IPv6Address((0x2002 << 112) | (int(inner) << 80) | 1))), "6to4"
