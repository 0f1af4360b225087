"""Asking an HTTP proxy for a tunnel (RFC 9110 §9.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import ClientError, Code, UpstreamError
from outward.core.proxy import host_and_port
from outward.gateway.denial import DialError
from outward.gateway.http1 import parse_response, split_head

if TYPE_CHECKING:
    from outward.gateway.upstream_proxy.choice import Login
    from outward.gateway.upstream_proxy.negotiation import Negotiation

CREDENTIALS_HINT: Final = (
    "A proxy's user and password come from `proxy: {url, username, secret}` in the policy, or stand in the URL of the "
    "environment variable that names it."
)


def request(host: str, port: int, login: Login | None) -> bytes:
    """The CONNECT request."""
    place = host_and_port(host, port)
    authorization = "" if login is None else f"Proxy-Authorization: {login.basic}\r\n"
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{authorization}\r\n".encode("latin-1")


async def ask(talk: Negotiation, host: str, port: int, login: Login | None) -> None:
    """Opens the tunnel. Raises :class:`DialError`; its message is what the proxy did."""
    talk.send(request(host, port, login))
    status = 100
    try:
        while status < 200:
            status = parse_response(await talk.take(split_head)).status
    except (ClientError, UpstreamError) as error:
        raise DialError(Code.UPSTREAM_UNREACHABLE, f"gave an answer that is not HTTP: {error.message}") from error
    # Any 2xx opens it, and has no body whatever its fields say. The proxy's own words are not repeated to the client: they
    # may hold anything, the credentials included.
    if status >= 300:
        raise refused(status, f"to connect to {host_and_port(host, port)}", login)


def refused(status: int, what: str, login: Login | None) -> DialError:
    """What an answer of ``status`` means: the proxy refuses, or cannot do, ``what``."""
    if status == 407:
        wrong = "does not accept the credentials" if login is not None else "demands credentials"
        return DialError(Code.UPSTREAM_UNREACHABLE, f"{wrong} (407)", hint=CREDENTIALS_HINT)
    verb = "refused" if status < 500 else "was not able"
    return DialError(
        Code.UPSTREAM_UNREACHABLE,
        f"{verb} {what} ({status})",
        hint="The policy allows it; the proxy does not. `proxy: none` at the destination goes around it.",
    )
