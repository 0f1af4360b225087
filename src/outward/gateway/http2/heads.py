"""Heads of HTTP/2 (RFC 9113 §8) as the heads of HTTP/1.1 that they stand for. Pure.

A field list is written as an HTTP/1.1 head and read by HTTP/1.1's own parser: what that one refuses does not get through
here either. Names and values are checked one by one before, so that none of them can become more than one line.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from hpack import NeverIndexedHeaderTuple

from outward.core import ClientError, OutwardError, UpstreamError, authority
from outward.gateway.http1 import CHUNKED, parse_request, parse_response
from outward.gateway.rewrite import WITH_BODY, request_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.core import Request
    from outward.credentials.injector import Injector
    from outward.gateway.http1 import RequestHead, ResponseHead

FieldLine = tuple[bytes, bytes]
"""A field as it comes out of HPACK: its name and its value."""

CONNECTION_SPECIFIC: Final = frozenset(
    # Fields about one connection have no place in HTTP/2 (RFC 9113 §8.2.2); who sends them means to confuse somebody.
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings"}
)

_REQUEST_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})

# RFC 9113 §8.2.1 asks for less than this; the names are HTTP/1.1's without upper case, the values HTTP/1.1's.
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# What may stand in a request line or Host field; neither can end its line or have a second word.
_WORD: Final = re.compile(rb"[\x21-\x7e]+")
_STATUS: Final = re.compile(rb"[1-5][0-9][0-9]")


def request_head(fields: Iterable[FieldLine], *, scheme: str, ended: bool) -> RequestHead:
    """The request of a stream. ``scheme`` is the connection's, ``ended`` tells that there is no body.

    A ``:protocol`` of ``websocket`` (RFC 8441 §4) becomes the GET with an upgrade that it stands for (RFC 6455 §4.1), with
    a key of our own. Raises :class:`ClientError` for everything that is malformed (RFC 9113 §8.1.1) or ambiguous.
    """
    pseudo, regular = _split(fields, _REQUEST_PSEUDO, ClientError)
    for name, value in pseudo.items():
        if not _WORD.fullmatch(value):
            raise ClientError(f"{name.decode()} is empty or malformed")
    method, path = pseudo.get(b":method"), pseudo.get(b":path")
    protocol = pseudo.get(b":protocol")
    if method is None or path is None or b":scheme" not in pseudo:
        # A CONNECT without :protocol among them (RFC 9113 §8.5): this is a tunnel already.
        raise ClientError("there is no :method, :scheme or :path")
    if pseudo[b":scheme"].lower() != scheme.encode():
        raise ClientError(f":scheme is not {scheme}")
    if (protocol is not None) != (method == b"CONNECT"):
        raise ClientError(":protocol and CONNECT belong together")
    if protocol is not None:
        method = b"GET"
        regular = _as_upgrade(regular, protocol, ended=ended)
    lines = [method + b" " + path + b" HTTP/1.1", b"host: " + _authority(pseudo.get(b":authority"), regular)]
    lines.extend(name + b": " + value for name, value in _joined_cookies(regular) if name != b"host")
    head = parse_request(b"\r\n".join(lines) + b"\r\n\r\n")
    announced = any(name == b"content-length" for name, _ in regular)
    if ended and head.length:
        raise ClientError("a body is announced and there is none")
    if not ended and not announced and protocol is None:
        return head.with_length(CHUNKED)
    return head


def response_head(fields: Iterable[FieldLine]) -> ResponseHead:
    """The answer of a stream, interim or final; its body ends with the stream. Raises :class:`UpstreamError`."""
    pseudo, regular = _split(fields, frozenset({b":status"}), UpstreamError)
    status = pseudo.get(b":status")
    if status is None or not _STATUS.fullmatch(status) or status == b"101":
        raise UpstreamError("the answer has no valid :status")
    lines = [b"HTTP/1.1 " + status + b" "]
    lines.extend(name + b": " + value for name, value in regular)
    return parse_response(b"\r\n".join(lines) + b"\r\n\r\n")


def trailer_section(fields: Iterable[FieldLine], blame: type[OutwardError]) -> str:
    """Trailers as HTTP/1.1's raw section: lines, each with its CRLF. Raises ``blame``."""
    _, regular = _split(fields, frozenset(), blame)
    return b"".join(name + b": " + value + b"\r\n" for name, value in regular).decode("latin-1")


def request_fields(head: RequestHead, request: Request, injector: Injector) -> list[NeverIndexedHeaderTuple]:
    """The field list that is sent upstream; what :func:`~outward.gateway.rewrite.request_head` is for HTTP/1.1.

    None of it enters the table of the compression: a credential in there could be guessed at by the size of what follows
    (RFC 7541 §7.1), and the table would be as large as the server says.
    """
    query = injector.query(request.query)
    target = f"{request.path}?{query}" if query else request.path
    fields = [
        (b":method", request.method.encode()),
        (b":scheme", request.scheme.encode()),
        (b":authority", authority(request.host, request.port, request.scheme).encode()),
        (b":path", target.encode("latin-1")),
        # Receivers join cookies with "; " (RFC 9113 §8.2.3), and refuse what an empty one then looks like.
        *(field for field in field_list(request_lines(head, injector)) if field != (b"cookie", b"")),
    ]
    if any(name == "te" and "trailers" in value.lower() for name, _, value in head.fields):
        fields.append((b"te", b"trailers"))  # gRPC will not do without
    if head.length > 0 or (head.length == 0 and head.method in WITH_BODY):
        fields.append((b"content-length", str(head.length).encode()))
    return [NeverIndexedHeaderTuple(name, value) for name, value in fields]


def field_list(lines: Iterable[str]) -> list[FieldLine]:
    """Lines of an HTTP/1.1 head (without CRLF) as fields to send: names in lower case, values without padding."""
    pairs = (line.encode("latin-1").partition(b":") for line in lines)
    return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


def _split(
    fields: Iterable[FieldLine], allowed: frozenset[bytes], blame: type[OutwardError]
) -> tuple[dict[bytes, bytes], list[FieldLine]]:
    """Pseudo-header fields, each once and before all others (RFC 9113 §8.3), and the rest, checked."""
    pseudo: dict[bytes, bytes] = {}
    regular: list[FieldLine] = []
    for name, value in fields:
        if name.startswith(b":"):
            if regular or name in pseudo or name not in allowed:
                raise blame("a pseudo-header field is unknown, repeated or out of place")
            pseudo[name] = value
            continue
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or value.strip(b" \t") != value:
            raise blame("a header field is malformed")
        if name in CONNECTION_SPECIFIC or (name == b"te" and value.lower() != b"trailers"):
            raise blame(f"the field {name.decode()} has no place in HTTP/2")
        regular.append((name, value))
    return pseudo, regular


def _authority(authority: bytes | None, regular: Iterable[FieldLine]) -> bytes:
    """What Host would say: ``:authority``, or a Host field, or both if they say the same (RFC 9113 §8.3.1)."""
    hosts = [value for name, value in regular if name == b"host"]
    if len(hosts) > 1:
        raise ClientError(f"there are {len(hosts)} host fields")
    if authority is not None:
        hosts.append(authority)
    if not hosts:
        raise ClientError("there is no :authority")
    if hosts[0].lower() != hosts[-1].lower():
        raise ClientError("host and :authority differ")
    return hosts[-1]


def _joined_cookies(regular: Iterable[FieldLine]) -> Iterable[FieldLine]:
    """Crumbs of a cookie as the one field that HTTP/1.1 knows (RFC 9113 §8.2.3); it comes last."""
    crumbs: list[bytes] = []
    for field in regular:
        if field[0] == b"cookie":
            crumbs.append(field[1])
        else:
            yield field
    if crumbs:
        yield b"cookie", b"; ".join(filter(None, crumbs))


_OURS_IN_UPGRADE: Final = frozenset({b"sec-websocket-key", b"sec-websocket-accept"})


def _as_upgrade(regular: Iterable[FieldLine], protocol: bytes, *, ended: bool) -> list[FieldLine]:
    """The fields of an extended CONNECT as those of the upgrade. The key means nothing in HTTP/2 (RFC 8441 §5)."""
    if protocol != b"websocket":
        raise ClientError("the only :protocol is websocket")
    fields = [field for field in regular if field[0] not in _OURS_IN_UPGRADE]
    if ended or any(name == b"content-length" for name, _ in fields):
        raise ClientError("a WebSocket has no body")
    key = b64encode(secrets.token_bytes(16))
    return [*fields, (b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-key", key)]
