"""Where a request on a connection is meant to go (docs/architecture.md, step 4). Pure.

A route knows what the connection was opened for and turns a request's target and Host into one destination, or refuses:
CONNECT host = SNI = Host, no second opinion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeAlias

from outward.core import DEFAULT_PORT, ClientError, HostMismatch, canonical_authority
from outward.core.canonical import is_address

if TYPE_CHECKING:
    from outward.gateway.http1 import RequestHead


Target: TypeAlias = tuple[str, str, int, str, str]
"""Where to: scheme, host, port; and the path and query as the client sent them."""


class Route(Protocol):
    """Turns a request head into its target. ``origin`` is scheme, host and port as far as the connection tells."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port; empty where only the request tells."""
        ...

    def resolve(self, head: RequestHead) -> Target:
        """Raises :class:`ClientError` or :class:`HostMismatch`."""
        ...


def _split(target: str) -> tuple[str, str]:
    path, _, query = target.partition("?")
    return path, query


def _check_host(head: RequestHead, host: str, port: int, scheme: str) -> None:
    if head.host is None:
        return
    named = canonical_authority(head.host, DEFAULT_PORT[scheme])
    if named != (host, port):
        raise HostMismatch(f"the host field says {named[0]}:{named[1]}, the connection was opened to {host}:{port}")


class TunnelRoute:
    """Inside CONNECT, after TLS where ``scheme`` is https. ``sni`` is what the handshake named, canonical."""

    def __init__(self, scheme: str, host: str, port: int, sni: str | None = None) -> None:
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.sni: Final = sni
        self.origin: Final = (scheme, host, port)

    def resolve(self, head: RequestHead) -> Target:
        """Origin-form only (RFC 9112 §3.2.1)."""
        if self.sni is not None and self.sni != self.host:
            raise HostMismatch(f"TLS named {self.sni}, the connection was opened to {self.host}")
        if not head.target.startswith("/"):
            raise ClientError("the target is not a path")
        _check_host(head, self.host, self.port, self.scheme)
        path, query = _split(head.target)
        return self.scheme, self.host, self.port, path, query


class ProxyRoute:
    """Plain HTTP sent to us as a proxy: absolute-form (RFC 9112 §3.2.2)."""

    origin: Final = ("http", "", 0)

    def resolve(self, head: RequestHead) -> Target:
        """Only ``http://``; https comes through CONNECT."""
        scheme, separator, rest = head.target.partition("://")
        if not separator:
            raise ClientError("this is a proxy: the target must be an absolute URL, or the method CONNECT")
        if scheme.lower() != "http":
            raise ClientError("only http:// URLs can be sent to a proxy in the clear; use CONNECT")
        name, slash, tail = rest.partition("/")
        if not slash:
            name, mark, query = rest.partition("?")
            path, tail = "/", query if mark else ""
        else:
            path, tail = _split(slash + tail)
        host, port = canonical_authority(name, 80)
        _check_host(head, host, port, "http")
        return "http", host, port, path, tail


class CapturedRoute:
    """Plain HTTP that the client meant for ``address`` and did not mean for us.

    The Host field names the server. The client's address is not where the request goes (the name is resolved by us), so it
    need not be the name's; but a port, or an address, that the two tell differently is a pretence.
    """

    def __init__(self, address: str, port: int) -> None:
        self.origin: Final = ("http", address, port)

    def resolve(self, head: RequestHead) -> Target:
        """Origin-form only; without Host (HTTP/1.0) the address is all there is to judge."""
        scheme, address, port = self.origin
        if not head.target.startswith("/"):
            raise ClientError("the target is not a path")
        named = canonical_authority(head.host, DEFAULT_PORT[scheme]) if head.host is not None else (address, port)
        if named[1] != port or (is_address(named[0]) and named[0] != address):
            raise HostMismatch(
                f"the host field says {named[0]}:{named[1]}, the connection was opened to {address}:{port}"
            )
        path, query = _split(head.target)
        return scheme, named[0], port, path, query


class HiddenRoute:
    """TLS in which the host may be another than the one that is seen: every request is answered, and none goes on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.origin: Final = ("https", host, port)
        self._reason: Final = reason

    def resolve(self, head: RequestHead) -> NoReturn:
        """Raises :class:`HostMismatch`."""
        raise HostMismatch(self._reason)


class ReverseRoute:
    """A listener that stands for one server (``--reverse ADDR=URL``).

    The Host field names us, not the server. It must be a name that no attacker on the web can point here: an address,
    ``localhost``, a name without dots (a container's), or the server's own; else a page in a browser could use the
    credentials by DNS rebinding.
    """

    def __init__(self, scheme: str, host: str, port: int, prefix: str = "") -> None:
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.prefix: Final = prefix.rstrip("/")
        self.origin: Final = (scheme, host, port)

    def resolve(self, head: RequestHead) -> Target:
        """Origin-form only."""
        if not head.target.startswith("/"):
            raise ClientError("the target is not a path")
        if head.host is not None:
            named, _ = canonical_authority(head.host, 80)
            if not (named == self.host or _IS_OURS.fullmatch(named)):
                raise HostMismatch(f"the host field says {named}, which is not a name of this listener")
        path, query = _split(head.target)
        return self.scheme, self.host, self.port, self.prefix + path, query


_IS_OURS: Final = re.compile(
    r"[a-z0-9_-]+|(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-f:]*:[0-9a-f:.]*|(?:[a-z0-9_-]+\.)+internal"
)
