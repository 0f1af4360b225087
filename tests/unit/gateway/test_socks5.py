"""SOCKS5 octet by octet (RFC 1928, RFC 1929): nothing is taken that does not belong to the message."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.gateway.fronts import socks5
from outward.gateway.fronts.socks5 import AddressTypeError, Asked, Login, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from outward.gateway.fronts.socks5 import Steps, T

PORTS = st.integers(0, 65535)


class Starved(Exception):
    """The parser wants more octets than there are."""


def parse(parser: Steps[T], data: bytes) -> tuple[T, bytes]:
    """The message, and what was not taken."""
    wanted = next(parser)
    while True:
        if wanted > len(data):
            raise Starved
        taken, data = data[:wanted], data[wanted:]
        try:
            wanted = parser.send(taken)
        except StopIteration as end:
            return end.value, data


def domain(name: bytes, port: int = 443) -> bytes:
    return b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")


GOOD = {
    "methods": (socks5.methods, b"\x05\x02\x00\x02", frozenset({0, 2})),
    "one method": (socks5.methods, b"\x05\x01\x00", frozenset({0})),
    "no methods": (socks5.methods, b"\x05\x00", frozenset()),
    "login": (socks5.login, b"\x01\x02ci\x03tok", Login(b"ci", b"tok")),
    "login with nothing": (socks5.login, b"\x01\x00\x00", Login(b"", b"")),
    "IPv4": (socks5.request, b"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb", Asked(1, "192.0.2.1", 443)),
    "IPv6": (socks5.request, b"\x05\x01\x00\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01\x00\x50", Asked(1, "2001:db8::1", 80)),
    "name": (socks5.request, domain(b"API.test"), Asked(1, "API.test", 443)),
    "bind": (socks5.request, b"\x05\x02\x00\x01" + bytes(6), Asked(2, "0.0.0.0", 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_message_is_taken_exactly(name: str) -> None:
    parser, octets, expected = GOOD[name]
    assert parse(parser(), octets) == (expected, b"")
    assert parse(parser(), octets + b"\x16\x03\x01") == (expected, b"\x16\x03\x01"), "what follows is not ours"


@pytest.mark.parametrize("name", GOOD)
def test_a_part_is_never_enough(name: str) -> None:
    parser, octets, _ = GOOD[name]
    for size in range(len(octets)):
        with pytest.raises(Starved):
            parse(parser(), octets[:size])


@pytest.mark.parametrize(
    ("parser", "octets"),
    [
        (socks5.methods, b"\x04\x01\x00\x50"),  # SOCKS4
        (socks5.methods, b"CONNECT a:1 HTTP/1.1"),
        (socks5.methods, b"\x16\x03\x01"),
        (socks5.login, b"\x05\x01a\x01b"),
        (socks5.request, b"\x04\x01\x00\x01" + bytes(6)),
        (socks5.request, b"\x05\x01\x01\x01" + bytes(6)),  # reserved is not zero
        (socks5.request, domain(b"b\xc3\xbccher.test")),
        (socks5.request, domain(b"\xff.test")),
    ],
)
def test_what_is_not_socks5(parser: Callable[[], Steps[object]], octets: bytes) -> None:
    with pytest.raises(ClientError):
        parse(parser(), octets)


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_unknown_address_types(kind: int) -> None:
    with pytest.raises(AddressTypeError):
        parse(socks5.request(), bytes((5, 1, 0, kind)) + bytes(300))


@pytest.mark.parametrize(
    "name",
    [b"evil\0.api.test", b"api.test\0", b"", b".", b"a b", b"api.test\n", b"a/b", b"user@api.test", b"*.test", b"127.1",
     b"0x7f.1", b"2130706433", b"a..b", b"a" * 64, b"[::1%lo]", b"::1%lo", b"api.test:443", b"%61pi.test"],
)  # fmt: skip
def test_odd_names_are_no_target(name: bytes) -> None:
    asked, _ = parse(socks5.request(), domain(name))
    with pytest.raises(ClientError):
        asked.target()


@pytest.mark.parametrize(
    ("name", "host"),
    [(b"API.test.", "api.test"), (b"192.0.2.1", "192.0.2.1"), (b"2001:DB8::1", "2001:db8::1"), (b"[::1]", "::1")],
)
def test_targets_are_canonical(name: bytes, host: str) -> None:
    asked, _ = parse(socks5.request(), domain(name))
    assert asked.target() == (host, 443)


def test_port_0_is_no_target() -> None:
    asked, _ = parse(socks5.request(), domain(b"api.test", 0))
    with pytest.raises(ClientError):
        asked.target()


@given(st.integers(0, 2**32 - 1), PORTS, st.binary())
def test_any_ipv4(address: int, port: int, rest: bytes) -> None:
    octets = b"\x05\x01\x00\x01" + address.to_bytes(4, "big") + port.to_bytes(2, "big")
    assert parse(socks5.request(), octets + rest) == (Asked(1, str(IPv4Address(address)), port), rest)


@given(st.integers(0, 2**128 - 1), PORTS, st.binary())
def test_any_ipv6(address: int, port: int, rest: bytes) -> None:
    octets = b"\x05\x01\x00\x04" + address.to_bytes(16, "big") + port.to_bytes(2, "big")
    asked, left = parse(socks5.request(), octets + rest)
    assert (asked, left) == (Asked(1, str(IPv6Address(address)), port), rest)
    if port:
        assert asked.target() == (str(IPv6Address(address)), port)


@given(st.binary(max_size=255), PORTS, st.binary())
def test_any_name_is_canonical_or_refused(name: bytes, port: int, rest: bytes) -> None:
    with contextlib.suppress(ClientError):  # the only exception that may leave
        asked, left = parse(socks5.request(), domain(name, port) + rest)
        assert left == rest
        host, _ = asked.target()
        assert host.isascii()
        assert not set(host) & set("\0 /@%*\\\r\n")


@given(st.sampled_from([socks5.methods, socks5.login, socks5.request]), st.binary(max_size=600))
def test_noise(parser: Callable[[], Steps[object]], data: bytes) -> None:
    with contextlib.suppress(ClientError, Starved):
        parse(parser(), data)


def test_the_answers_octet_by_octet() -> None:
    assert socks5.chosen(socks5.USERNAME_PASSWORD) == b"\x05\x02"
    assert socks5.chosen(socks5.NO_ACCEPTABLE_METHOD) == b"\x05\xff"
    assert socks5.logged_in(success=True) == b"\x01\x00"
    assert socks5.logged_in(success=False) == b"\x01\x01"
    assert socks5.reply(Reply.SUCCEEDED) == b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    assert socks5.reply(Reply.NOT_ALLOWED)[1] == 2
