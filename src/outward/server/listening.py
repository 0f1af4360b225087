"""What one ``serve`` listens on: addresses, the sockets on them, and the fronts behind those."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from outward.core import DEFAULT_PORT, HostError, OutwardError, canonical_host
from outward.core.records import NamedTuple
from outward.gateway import ProxyFront, ReverseFront, ReverseRoute, SocksFront, TransparentFront

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outward.gateway.listeners import Front
    from outward.policy import AgentSpec

BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Reverse:
    """A listener that stands for one server: ``--reverse ADDR=URL``."""

    address: str
    url: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to listen on, and whose requests these are unless clients log in."""

    agent: str
    listen: tuple[str, ...] = ()
    reverse: tuple[Reverse, ...] = ()
    socks: tuple[str, ...] = ()
    transparent: tuple[str, ...] = ()

    def fronts(self, agents: Mapping[str, AgentSpec]) -> list[tuple[str, Front]]:
        """Each address and what is spoken there, in the order of the ready line. Raises :class:`OutwardError`."""
        login = bool(agents)
        fronts: list[tuple[str, Front]] = [(address, ProxyFront(self.agent, login=login)) for address in self.listen]
        fronts += [(each.address, ReverseFront(parse_reverse(each.url), self.agent)) for each in self.reverse]
        fronts += [(address, SocksFront(self.agent, login=login)) for address in self.socks]
        for address in self.transparent:
            if address.startswith("unix:"):
                raise OutwardError(f"nothing can be redirected to {address}", hint="For example 127.0.0.1:3129")
            fronts.append((address, TransparentFront(self.agent)))
        return fronts


class Bound(NamedTuple):
    """A listening socket and its front."""

    sock: socket.socket
    front: Front


@contextlib.contextmanager
def listening(plan: Plan, agents: Mapping[str, AgentSpec]) -> Iterator[list[Bound]]:
    """Listens on all addresses of the plan, or on none; at the end sockets and files are gone.

    Raises :class:`OutwardError`.
    """
    with contextlib.ExitStack() as stack:
        bound = []
        for address, front in plan.fronts(agents):
            sock = stack.enter_context(contextlib.closing(open_listener(address, authenticated=front.authenticates)))
            if address.startswith("unix:"):
                stack.callback(Path(address.removeprefix("unix:")).unlink, missing_ok=True)
            bound.append(Bound(sock, front))
        yield bound


def parse_reverse(url: str) -> ReverseRoute:
    """The route of a reverse listener's URL. Raises :class:`OutwardError`."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORT or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise OutwardError(f"{url!r} is not an http or https URL", hint="For example https://api.example.com")
    return ReverseRoute(
        parts.scheme, canonical_host(parts.hostname), parts.port or DEFAULT_PORT[parts.scheme], parts.path
    )


def open_listener(address: str, *, authenticated: bool) -> socket.socket:
    """A listening socket on ``host:port`` (port 0: any free one) or ``unix:/path`` (mode 0600).

    Raises :class:`HostError`; also for an address that others can reach when clients are not ``authenticated``: whoever
    reaches the gateway uses the credentials behind it.
    """
    try:
        if address.startswith("unix:"):
            return _unix_listener(Path(address.removeprefix("unix:")))
        host, port = _host_and_port(address)
        if not authenticated and not ip_address(host).is_loopback:
            raise HostError(
                f"{address} can be reached from outside, and clients would not have to authenticate",
                hint="Listen on 127.0.0.1. Explicit proxies and SOCKS5 may listen anywhere if clients have to log in: name "
                "the agents and their tokens in the policy (`agents:`).",
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise HostError(f"cannot listen on {address}: {error.strerror or error}") from error


def _host_and_port(address: str) -> tuple[str, int]:
    name, _, port = address.rpartition(":")
    host = "127.0.0.1" if name == "localhost" else name.removeprefix("[").removesuffix("]")
    try:
        ip_address(host)
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError(port)
    except ValueError:
        raise OutwardError(
            f"{address!r} is not an address to listen on",
            hint="For example 127.0.0.1:8080, [::1]:0 or unix:/run/o.sock",
        ) from None
    return host, int(port)


def _unix_listener(path: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise HostError(f"{path} exists and is not a socket")
        _refuse_if_served(path)
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is right from the first moment: nobody can connect between bind and chmod.
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    return sock


def _refuse_if_served(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise HostError(f"another process listens on {path}")


def address_of(sock: socket.socket) -> str:
    """How the ready line names a listener: ``host:port`` with the port resolved, or ``unix:/path``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"
