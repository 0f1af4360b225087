"""Proxies of others, a company's for example, that stand between the gateway and the internet. Pure.

The gateway is a proxy itself; here and wherever one is chained to, *proxy* means somebody else's.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from outward.core.canonical import canonical_authority, is_address
from outward.core.errors import ClientError
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outward.core.secret import Secret

ProxyScheme: TypeAlias = Literal["http", "https", "socks5", "socks5h"]
"""How the proxy is spoken to: HTTP in the clear or in TLS, or SOCKS; ``socks5h`` leaves names to the proxy."""

PROXY_SCHEMES: Final[tuple[ProxyScheme, ...]] = ("http", "https", "socks5", "socks5h")

_URL: Final = r"(?i:(?P<scheme>[a-z0-9+.-]+)://(?:(?P<user>[^/?#]*)@)?(?P<place>[^/?#@]*)/?)"


class Proxy(NamedTuple):
    """A proxy to go through. ``str`` gives its address, which names no user.

    ``secret`` names the secret that is the password of ``username``, ``None`` for a proxy that knows its clients otherwise.
    ``ca`` is the PEM text of a root that is trusted for the proxy itself, besides the system's. ``no_proxy`` are the hosts to
    which nothing goes through it (:func:`bypassed`).
    """

    scheme: ProxyScheme
    host: str
    port: int
    username: str = ""
    secret: str | None = None
    ca: str | None = None
    no_proxy: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.scheme}://{host_and_port(self.host, self.port)}"

    def __repr__(self) -> str:
        return f"<Proxy {self}>"


class CallerProxies(NamedTuple):
    """What the caller's environment says: the proxy for ``https`` and ``http`` destinations, and their passwords.

    ``origins`` names the variable that each comes from.
    """

    by_scheme: Mapping[str, Proxy]
    origins: Mapping[str, str]
    secrets: tuple[Secret, ...] = ()


NO_CALLER_PROXIES: Final = CallerProxies({}, {})


class ProxyAddress(NamedTuple):
    """A proxy's URL in its parts. ``userinfo`` is as written, ``None`` where there is none."""

    scheme: ProxyScheme
    host: str
    port: int
    userinfo: str | None


def parse_proxy_url(url: str) -> ProxyAddress:
    """``http://[user:password@]proxy.corp.example:3128`` in its parts.

    Raises :class:`ClientError`, which never repeats the text: there may be a password anywhere in it. A port must be given
    except with https: what is meant without one differs between programs (80, 1080, 3128).
    """
    match = re.fullmatch(_URL, url)
    if match is None:
        raise ClientError("this is no SCHEME://HOST:PORT")
    scheme = match["scheme"].lower()
    if scheme not in PROXY_SCHEMES:
        raise ClientError(f"a proxy is spoken to by {', '.join(PROXY_SCHEMES)}")
    try:
        host, port = canonical_authority(match["place"], 443 if scheme == "https" else None)
    except ClientError:
        raise ClientError("a proxy's address is a host and a port") from None
    return ProxyAddress(cast("ProxyScheme", scheme), host, port, match["user"])


def host_and_port(host: str, port: int) -> str:
    """``host:port`` of a canonical host, with brackets for IPv6: the authority-form of CONNECT (RFC 9112 §3.2.3)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bypassed(host: str, no_proxy: Iterable[str]) -> bool:
    """Whether ``host``, canonical, is among those that no proxy is used for, as curl reads ``NO_PROXY``.

    * ``example.com`` and ``.example.com`` stand for the name and every name below it; letter case and one trailing dot
      mean nothing.
    * An address or a network (``10.0.0.0/8``, ``fd00::/8``) stands for addresses that are spelt out; names are not resolved.
    * A single ``*`` alone stands for everything; in any other place it is no wildcard. A port matches nothing.
    """
    patterns = tuple(no_proxy)
    if patterns == ("*",):
        return True
    matches = _covers_address if is_address(host) else _covers_name
    return any(matches(pattern, host) for pattern in patterns)


def _covers_name(pattern: str, host: str) -> bool:
    suffix = pattern.lower().removesuffix(".").removeprefix(".")
    return host == suffix or (bool(suffix) and host.endswith(f".{suffix}"))


def _covers_address(pattern: str, host: str) -> bool:
    network, _, bits = pattern.partition("/")
    try:
        # No bits at all would be everything, which is what `*` is for: curl takes it for the address alone.
        if not bits or int(bits) == 0:
            return ip_address(network) == ip_address(host)
        return ip_address(host) in ip_network(pattern, strict=False)
    except ValueError:
        return False


def split_no_proxy(text: str) -> tuple[str, ...]:
    """The patterns of a ``NO_PROXY`` variable: separated by commas, blanks, or both."""
    return tuple(filter(None, re.split(r"[,\s]+", text)))
