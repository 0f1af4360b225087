"""Heads written anew: what goes upstream, and what comes back. Pure.

Nothing of the original octets is passed on; every line is serialised from the parsed and checked form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import authority
from outward.gateway.http1 import CHUNKED, HOP_BY_HOP

if TYPE_CHECKING:
    from outward.core import Request
    from outward.credentials.injector import Injector
    from outward.credentials.scrub import Scrubber
    from outward.gateway.http1 import RequestHead, ResponseHead
    from outward.gateway.upstream_proxy import Forwarding

OVERRIDES: Final = frozenset(
    # Fields by which a server may be told to act on another request than the one that was decided about.
    {
        "x-forwarded-host",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    }
)

NOT_FORWARDED: Final = HOP_BY_HOP | OVERRIDES | {"host", "content-length", "trailer"}

NOT_ANSWERED: Final = HOP_BY_HOP | {
    "content-length",
    "alt-svc",  # would send the client to QUIC, which does not exist here
    "x-outward-verdict",  # ours to say
}

_CODINGS: Final = frozenset(
    # Fields that ask for answers in which a secret cannot be found. `a-im` is for deltas (RFC 3229).
    {"a-im", "accept-encoding", "connect-accept-encoding", "grpc-accept-encoding", "sec-websocket-extensions"}
)

WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods for which an empty body is announced too (RFC 9110 §8.6)."""


def request_lines(head: RequestHead, injector: Injector, forwarding: Forwarding | None = None) -> list[str]:
    """The fields that are sent upstream, without those about host and framing.

    Our credentials; none of the client's credentials, hop-by-hop fields or overrides. Where the answer will be scrubbed, it
    is asked for uncompressed.
    """
    out: list[str] = []
    removes, nominated = injector.removes, head.nominated
    identity = injector.wants_identity or (forwarding is not None and forwarding.scrubs)
    swaps = injector.mentioned(head.text, head.authorization)
    cookies: list[str] = []
    for key, name, value in head.fields:
        if key in NOT_FORWARDED or key in nominated:
            continue
        swapped = injector.swap(key, value) if swaps else None
        if key == "cookie" and key in injector.sets:
            cookies.append(value if swapped is None else swapped)
        elif swapped is not None and key not in injector.sets:
            out.append(f"{name}: {swapped}")
        elif key not in removes and not (identity and key in _CODINGS):
            out.append(f"{name}: {value}")
    out.extend(f"{name}: {value}" for name, value in injector.lines)
    if (joined := injector.cookies("; ".join(cookies))) is not None:
        out.append(f"cookie: {joined}")
    if forwarding is not None:
        out.extend(f"{name}: {value}" for name, value in forwarding.lines)
    if identity:
        out.append("accept-encoding: identity")
    return out


def request_head(
    head: RequestHead, request: Request, injector: Injector, forwarding: Forwarding | None = None
) -> bytes:
    """The head that is sent upstream over HTTP/1.1: the canonical path, the query, our Host, :func:`request_lines`.

    With ``forwarding`` it is for a proxy, which the target tells where to send it (RFC 9112 §3.2.2).
    """
    path, query = request.path, injector.query(request.query)
    host = authority(request.host, request.port, request.scheme)
    target = path if forwarding is None else f"{request.scheme}://{host}{path}"
    out = [
        f"{request.method} {target}?{query} HTTP/1.1" if query else f"{request.method} {target} HTTP/1.1",
        f"Host: {host}",
    ]
    out += request_lines(head, injector, forwarding)
    if head.websocket:
        out.append("Connection: Upgrade\r\nUpgrade: websocket")
    elif head.length == CHUNKED:
        out.append("Transfer-Encoding: chunked")
    elif head.length or head.method in WITH_BODY:
        out.append(f"Content-Length: {head.length}")
    out.append("\r\n")
    return "\r\n".join(out).encode("latin-1")


def response_lines(head: ResponseHead) -> list[str]:
    """The fields that the client gets, without those about framing; not scrubbed yet."""
    nominated = head.nominated
    return [line for key, line in head.lines if key not in NOT_ANSWERED and key not in nominated]


def response_head(head: ResponseHead, framing: str, scrubber: Scrubber | None) -> bytes:
    """The head that the client gets. ``framing`` is the lines that say how the body ends, each with its CRLF."""
    text = "\r\n".join((f"HTTP/1.1 {head.status} {head.reason}", *response_lines(head)))
    if scrubber is not None:
        text = scrubber.text(text)
    return f"{text}\r\n{framing}\r\n".encode("latin-1")


def trailer_section(trailers: str, scrubber: Scrubber | None) -> str:
    """The answer's trailers without those that must not be trailers (RFC 9110 §6.5.1)."""
    kept = [line for line in trailers.split("\r\n") if line and line.partition(":")[0].lower() not in _NEVER_TRAILERS]
    text = "".join(f"{line}\r\n" for line in kept)
    return scrubber.text(text) if scrubber is not None else text


_NEVER_TRAILERS: Final = NOT_ANSWERED | {
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "host",
    "location",
    "set-cookie",
    "trailer",
    "www-authenticate",
}


def masked_query(query: str) -> str:
    """The query for the journal: names stay, values go."""
    return "&".join(f"{name}=***" if eq else "***" for name, eq, _ in (p.partition("=") for p in query.split("&")))
