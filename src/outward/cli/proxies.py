"""The proxies that the caller's environment names, as curl reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import CallerProxies, ClientError, HostError, Proxy, Secret
from outward.core.expressions import expression
from outward.core.proxy import PROXY_SCHEMES, parse_proxy_url, split_no_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outward.policy import Policy

_VARIABLES: Final = {
    # By the scheme of the destination, in the order in which they are looked for; an empty one counts as missing. There is no
    # HTTP_PROXY: in a CGI program it is what a client's `Proxy:` header says.
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    "http": ("http_proxy", "all_proxy", "ALL_PROXY"),
}
_NO_PROXY: Final = ("no_proxy", "NO_PROXY")

_CONTROL: Final = expression(r"[\x00-\x1f\x7f]")


def caller_proxies(environment: Mapping[str, str]) -> CallerProxies:
    """What the environment says about proxies. Raises :class:`HostError` for what cannot be read, without repeating it."""
    no_proxy = split_no_proxy(environment.get(_first(environment, _NO_PROXY) or "", ""))
    origins = {scheme: name for scheme, names in _VARIABLES.items() if (name := _first(environment, names))}
    read = {name: _read(name, environment[name], no_proxy) for name in dict.fromkeys(origins.values())}
    return CallerProxies(
        {scheme: read[name][0] for scheme, name in origins.items()},
        origins,
        tuple(secret for _, secret in read.values() if secret is not None),
    )


def announcement(proxies: CallerProxies, policy: Policy) -> str | None:
    """The line that says what the environment's proxies are used for; ``None`` where they are not."""
    left = {one.scheme for one in policy.destinations if one.proxy is None and one.connect_to is None}
    ways = {
        scheme: f"{proxies.by_scheme[scheme]} ({name})" for scheme, name in proxies.origins.items() if scheme in left
    }
    if not ways:
        return None
    if len({*ways.values()}) == 1 and ways.keys() == left:
        return f"requests go out through the proxy {next(iter(ways.values()))}"
    return "; ".join(f"{scheme} requests go out through the proxy {way}" for scheme, way in ways.items())


def _first(environment: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((name for name in names if environment.get(name)), None)


def _read(name: str, text: str, no_proxy: tuple[str, ...]) -> tuple[Proxy, Secret | None]:
    try:
        scheme, host, port, userinfo = parse_proxy_url(text if "://" in text else f"http://{text}")
        username, secret = _login(name, userinfo)
    except ClientError as error:
        raise HostError(
            f"${name} is not the address of a proxy: {error.message}",
            hint=f"For example {name}=http://proxy.corp.example:3128 ({', '.join(PROXY_SCHEMES)}). "
            "A proxy in the policy comes before it; `proxy: none` there ignores it.",
        ) from None
    return Proxy(scheme, host, port, username, secret.name if secret else None, no_proxy=no_proxy), secret


def _login(name: str, userinfo: str | None) -> tuple[str, Secret | None]:
    """The user, and the password as a secret. A user alone may be a token; the password is empty then."""
    if userinfo is None:
        return "", None
    from urllib.parse import (
        unquote_to_bytes,  # here: most proxies ask for no login, and `outward run` has to start quickly
    )

    user, _, password = userinfo.partition(":")
    try:
        username = unquote_to_bytes(user).decode("utf-8")
        value = unquote_to_bytes(password)
    except UnicodeError:
        raise ClientError("the user is not UTF-8") from None
    if ":" in username or _CONTROL.search(username) or _CONTROL.search(value.decode("latin-1")):
        raise ClientError("user or password hold a character that they cannot have")
    return username, Secret(f"password in ${name}", value)
