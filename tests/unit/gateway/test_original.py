"""Where a connection was meant to go, from what the kernel says."""

from __future__ import annotations

import errno
import socket
import struct
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.gateway.fronts.original import Destination, original_destination, parse_sockaddr


def v4(address: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)


def v6(address: str, port: int) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, address)
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", port, 0) + packed + bytes(4)


class Kernel:
    """An accepted socket: its own end, and what connection tracking says of it."""

    def __init__(self, own: tuple[str, int], tracked: bytes | int) -> None:
        self._own = own
        self._tracked = tracked
        self.asked: list[tuple[int, int, int]] = []

    def getsockname(self) -> tuple[object, ...]:
        return (*self._own, 0, 0) if ":" in self._own[0] else self._own

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        self.asked.append((level, option, size))
        if isinstance(self._tracked, int):
            raise OSError(self._tracked, "so says the kernel")
        return self._tracked


def meant(own: tuple[str, int], tracked: bytes | int) -> Destination:
    return original_destination(cast(socket.socket, Kernel(own, tracked)))


@pytest.mark.parametrize(
    ("own", "tracked", "expected"),
    [
        (("127.0.0.1", 3129), v4("203.0.113.5", 443), Destination("203.0.113.5", 443, translated=True)),
        (("::1", 3129), v6("2001:db8::5", 443), Destination("2001:db8::5", 443, translated=True)),
        (("::ffff:127.0.0.1", 3129), v4("203.0.113.5", 22), Destination("203.0.113.5", 22, translated=True)),
        (("127.0.0.1", 3129), v4("127.0.0.1", 3128), Destination("127.0.0.1", 3128, translated=True)),
        # Tracked, and nothing was changed.
        (("127.0.0.1", 3129), v4("127.0.0.1", 3129), Destination("127.0.0.1", 3129, translated=False)),
        (("::1", 3129), v6("::1", 3129), Destination("::1", 3129, translated=False)),
        # Not tracked, or no tracking at all: AnyIP, tproxy.
        (("203.0.113.5", 443), errno.ENOENT, Destination("203.0.113.5", 443, translated=False)),
        (("2001:db8::5", 443), errno.ENOPROTOOPT, Destination("2001:db8::5", 443, translated=False)),
        (("::ffff:203.0.113.5", 443), errno.ENOENT, Destination("203.0.113.5", 443, translated=False)),
        (("fe80::1%lo", 443), errno.ENOENT, Destination("fe80::1", 443, translated=False)),
    ],
)
def test_where_it_was_meant_to_go(own: tuple[str, int], tracked: bytes | int, expected: Destination) -> None:
    assert meant(own, tracked) == expected


def test_any_other_trouble_ends_the_connection() -> None:
    with pytest.raises(OSError, match="so says"):
        meant(("127.0.0.1", 3129), errno.EPERM)


def test_each_family_is_asked_in_its_own_way() -> None:
    for own, tracked, question in (
        (("127.0.0.1", 1), v4("203.0.113.5", 1), (socket.IPPROTO_IP, 80, 16)),
        (("::ffff:127.0.0.1", 1), v4("203.0.113.5", 1), (socket.IPPROTO_IP, 80, 16)),
        (("::1", 1), v6("2001:db8::5", 1), (socket.IPPROTO_IPV6, 80, 28)),
    ):
        kernel = Kernel(own, tracked)
        original_destination(cast(socket.socket, kernel))
        assert kernel.asked == [question]


@given(st.binary(max_size=40))
def test_octets_that_are_no_address(raw: bytes) -> None:
    try:
        host, port = parse_sockaddr(raw)
    except ValueError:
        return
    assert len(raw) in {16, 28}
    assert 0 <= port < 65536
    assert host
