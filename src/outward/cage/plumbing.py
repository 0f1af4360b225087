"""What makes a network namespace a cage. Runs inside it, in a process of its own.

Every address is made local (AnyIP: a route of type ``local`` for all of them), so that nothing fails for want of a route and
everything stays here. Then the packet filter brings all TCP to one listener and all DNS to another. Where the kernel has no
packet filter, the listeners stand at the ports that matter, on every address, and other ports are refused. Either way there is
no interface but ``lo``: what keeps the sandbox in is that there is nowhere to go.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.cage import rules
from outward.cage.netlink import ACKNOWLEDGE, CREATE, REPLACE, ROUTE, Message, Netlink, attribute
from outward.cage.ports import DNS_PORT, MODULES, PLAIN_PORTS, PORT, TRANSPARENT_PORT
from outward.cage.sockets import Sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outward.cage.handing import Progress

BACKLOG: Final = 512

_LOOPBACK: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_ANY: Final = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 (within the namespace)
_ELSEWHERE: Final = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses that nobody has (RFC 5737, RFC 3849), for the self-test."""
_TEST_TIME: Final = 5.0

# rtnetlink(7): struct rtmsg's table, protocol and type, and its attributes.
_NEW_ROUTE: Final = 24
_MAIN, _STATIC, _LOCAL = 254, 4, 2
_SCOPE: Final = {socket.AF_INET: 254, socket.AF_INET6: 0}  # RT_SCOPE_HOST; IPv6 has none
_INTERFACE, _PREFERRED_SOURCE = 4, 7

_NO_NETWORK: Final = (
    "A cage has no network of its own: start the container without one (docker, podman: --network none)."
)
_FREE_PORTS: Final = (
    f"Ports {DNS_PORT}, {PORT} and {TRANSPARENT_PORT} of the namespace belong to the gateway, and to one of them."
)

_TUNNELS: Final = frozenset(
    # What the kernel itself puts into every new namespace once their modules are loaded. None leads anywhere by itself.
    {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"}
)


def plumb(progress: Progress) -> Sockets:
    """Makes a cage of the current namespace: its listeners. Raises :class:`OSError`; what was tried is in ``progress``."""
    progress.begin("find nothing but a loopback interface", _NO_NETWORK)
    _alone()
    progress.begin("bring the loopback interface up")
    kernel.loopback_up()
    families = list(_families())
    progress.begin("make every address local")
    for family in families:
        _any_address(family)
    progress.begin("load the packet filter's rules", f"Its modules may not be loaded: {MODULES}")
    known = [rules.IPV4 if family == socket.AF_INET else rules.IPV6 for family in families]
    filtered = rules.load(*known, dns=DNS_PORT, transparent=TRANSPARENT_PORT)
    progress.begin("listen in the cage", _FREE_PORTS)
    sockets = Sockets(
        proxy=tuple(_listen(family, _LOOPBACK[family], PORT) for family in families),
        transparent=tuple(_transparent(families, filtered=filtered)),
        dns=tuple(_dns(families)),
    )
    progress.begin("test what was set up")
    for family in families:
        _test(family, sockets, filtered=filtered)
    _low_ports()
    return sockets


def _alone() -> None:
    for _, name in socket.if_nameindex():
        if name != "lo" and (name not in _TUNNELS or kernel.interface_is_up(name)):
            raise OSError(errno.EBUSY, f"there is {name}, which may lead out")


def _families() -> Iterator[socket.AddressFamily]:
    """Those whose loopback address is there: a kernel may lack IPv6, and a namespace may have it turned off."""
    yield socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind((_LOOPBACK[socket.AF_INET6], 0))
        yield socket.AF_INET6


def _any_address(family: socket.AddressFamily) -> None:
    """``ip route replace local default dev lo src LOOPBACK``: who dials out does so as loopback."""
    route = struct.pack("=8BI", family, 0, 0, 0, _MAIN, _STATIC, _SCOPE[family], _LOCAL, 0)
    interface = attribute(_INTERFACE, struct.pack("=I", socket.if_nametoindex("lo")))
    source = attribute(_PREFERRED_SOURCE, socket.inet_pton(family, _LOOPBACK[family]))
    with Netlink(ROUTE) as netlink:
        netlink.ask([Message(_NEW_ROUTE, route + interface + source, "route", CREATE | REPLACE | ACKNOWLEDGE)])


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = _bound(family, socket.SOCK_STREAM, address, port)
    listener.listen(BACKLOG)
    return listener


def _bound(family: socket.AddressFamily, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:  # connections of an earlier gateway may still be coming to their end
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"port {port}: {error.strerror}") from error
    return sock


def _transparent(families: list[socket.AddressFamily], *, filtered: bool) -> Iterator[socket.socket]:
    for family in families:
        if filtered:
            yield _listen(family, _LOOPBACK[family], TRANSPARENT_PORT)
        else:
            for port in PLAIN_PORTS:
                yield _listen(family, _ANY[family], port)


def _dns(families: list[socket.AddressFamily]) -> Iterator[socket.socket]:
    for family in families:
        yield _bound(family, socket.SOCK_DGRAM, _LOOPBACK[family], DNS_PORT)
        yield _listen(family, _LOOPBACK[family], DNS_PORT)


def _test(family: socket.AddressFamily, sockets: Sockets, *, filtered: bool) -> None:
    """Dials what nobody has: it has to come to our listener, and a datagram must not go. Raises :class:`OSError`."""
    address = _ELSEWHERE[family]
    port = 9 if filtered else PLAIN_PORTS[-1]
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(_TEST_TIME)
        client.connect((address, port))
        _taken(family, sockets.transparent)
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(_TEST_TIME)
        client.connect((address, 443))
        try:
            client.send(b"?")
            client.recv(1)
        except TimeoutError:
            raise OSError(errno.EPROTO, "datagrams are not refused") from None
        except OSError:
            return
        raise OSError(errno.EPROTO, "datagrams are answered")


def _taken(family: socket.AddressFamily, listeners: tuple[socket.socket, ...]) -> None:
    """Who dialled may know that it is connected a moment before the listener does."""
    poll = select.poll()
    ours = {listener.fileno(): listener for listener in listeners if listener.family == family}
    for descriptor in ours:
        poll.register(descriptor, select.POLLIN)
    for descriptor, _ in poll.poll(_TEST_TIME * 1000):
        ours[descriptor].accept()[0].close()
        return
    raise OSError(errno.EPROTO, "a connection did not come to the gateway")


def _low_ports() -> None:
    """Lets the sandbox's own servers have any port that is free, as on a machine of their own.

    Where /proc/sys is read-only (containers) they keep to those from 1024 on, or to what the container's setting is.
    """
    with contextlib.suppress(OSError), open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w") as setting:  # noqa: PTH123
        setting.write("0")
