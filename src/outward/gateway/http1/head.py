"""Message heads: start line and fields (RFC 9112 §2 to §6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from outward.core import ClientError, OutwardError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD: Final = 64 * 1024
"""Octets of a head, start line and fields together. Larger ones are refused."""

MAX_FIELDS: Final = 200

HOP_BY_HOP: Final = frozenset(
    # Fields that speak about one connection (RFC 9110 §7.6.1), or to proxies, and are never passed on.
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)

_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # RFC 9110 §5.6.2
# One scan decides about the whole field section: no obs-fold, no bare CR or LF, no control character but HTAB, no space
# before the colon. Possessive repetition: linear time on any input.
_FIELDS: Final = re.compile(rf"(?:{_NAME}++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+", re.ASCII)
# Methods are case-sensitive and the registered ones are upper-case; a server that also takes `delete` must not see it.
_REQUEST_LINE: Final = re.compile(r"([A-Z][A-Z0-9_-]{0,31}) ([\x21-\x7e]{1,32768}) HTTP/1\.([01])", re.ASCII)
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?", re.ASCII)
_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


class Field(NamedTuple):
    """One header field. ``key`` is the name in lower case, ``name`` as sent; octets are latin-1 characters."""

    key: str
    name: str
    value: str


CHUNKED: Final = -1
"""The length of a body that ends with its last chunk."""

UNTIL_CLOSE: Final = -2
"""The length of a body that ends with the connection; only answers can have it."""


class RequestHead(NamedTuple):
    """A parsed request head. ``length`` is the body's: octets, or :data:`CHUNKED`.

    ``nominated`` are the field names that the Connection field declares hop-by-hop; ``text`` is the whole head, to be
    searched, never to be sent.
    """

    text: str
    method: str
    target: str
    minor: int
    fields: list[Field]
    length: int
    keep_alive: bool
    host: str | None
    authorization: str | None
    expect_continue: bool
    websocket: bool
    nominated: frozenset[str]


class ResponseHead(NamedTuple):
    """A parsed response head; see :func:`response_framing` for its body."""

    status: int
    reason: str
    minor: int
    fields: list[Field]
    keep_alive: bool
    nominated: frozenset[str]
    length: int | None
    chunked: bool


def split_head(data: bytes | bytearray) -> int:
    """Where the head in ``data`` ends (after the empty line), or 0 if it is not complete.

    Raises :class:`ClientError` for a line that ends without CR, which some servers would take for the end, and for a head
    over :data:`MAX_HEAD`.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end >= 0:
        return end + 4
    if len(data) >= MAX_HEAD:
        raise ClientError("the head is too large")
    if _BARE_LF.search(data):
        raise ClientError("a line ends without a carriage return")
    return 0


def _parse_fields(block: str, blame: type[OutwardError]) -> list[Field]:
    """``block`` is the field section with its last CRLF and without the empty line."""
    if not _FIELDS.fullmatch(block):
        raise blame("a header field is malformed")
    fields = []
    for line in block.split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        fields.append(Field(name.lower(), name, value.strip(" \t")))
    if len(fields) > MAX_FIELDS:
        raise blame("there are too many header fields")
    return fields


def _connection(values: str) -> frozenset[str]:
    return frozenset(token.strip(" \t").lower() for token in values.split(",")) - {""}


def _single(known: Mapping[str, list[str]], key: str, blame: type[OutwardError]) -> str | None:
    values = known.get(key)
    if values is None:
        return None
    if len(values) > 1:
        raise blame(f"there are {len(values)} {key} fields")
    return values[0]


# Fields that decide framing, routing or identity: collected while parsing, checked for duplicates.
_REQUEST_KEYS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "authorization"}
)
_RESPONSE_KEYS: Final = frozenset({"content-length", "transfer-encoding", "connection"})


def _collect(fields: list[Field], keys: frozenset[str]) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    for key, _, value in fields:
        if key in keys:
            known.setdefault(key, []).append(value)
    return known


def parse_request(head: bytes) -> RequestHead:
    """Parses a whole request head, empty line included. Raises :class:`ClientError` for anything ambiguous."""
    text = head.decode("latin-1")
    line, _, block = text[:-2].partition("\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ClientError("the request line is malformed")
    method, target, minor_text = match.groups()
    minor = int(minor_text)
    fields = _parse_fields(block, ClientError)
    known = _collect(fields, _REQUEST_KEYS)
    host = _single(known, "host", ClientError)
    if host is None and minor == 1:
        raise ClientError("there is no host field")
    expect = _single(known, "expect", ClientError)
    if expect is not None and expect.lower() != "100-continue":
        raise ClientError("the expectation is unknown")
    connection = _connection(",".join(known["connection"])) if "connection" in known else frozenset[str]()
    upgrade = _single(known, "upgrade", ClientError)
    return RequestHead(
        text=text,
        method=method,
        target=target,
        minor=minor,
        fields=fields,
        length=_request_length(known, minor),
        keep_alive="close" not in connection if minor else "keep-alive" in connection,
        host=host,
        authorization=_single(known, "authorization", ClientError),
        expect_continue=expect is not None and minor == 1,
        # Any other upgrade (h2c above all) is declined by not passing it on (RFC 9110 §7.8).
        websocket=upgrade is not None and upgrade.lower() == "websocket" and "upgrade" in connection and minor == 1,
        nominated=connection - HOP_BY_HOP,
    )


def _request_length(known: Mapping[str, list[str]], minor: int) -> int:
    """RFC 9112 §6.3, with every tolerance refused."""
    length = _single(known, "content-length", ClientError)
    coding = _single(known, "transfer-encoding", ClientError)
    if coding is not None:
        if length is not None:
            raise ClientError("there are both a content-length and a transfer-encoding")
        if coding.lower() != "chunked" or minor == 0:
            raise ClientError("the transfer-encoding is not chunked")
        return CHUNKED
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise ClientError("the content-length is not a number")
    return int(length)


def parse_response(head: bytes) -> ResponseHead:
    """Parses a whole response head, empty line included. Raises :class:`UpstreamError`."""
    line, _, block = head.decode("latin-1")[:-2].partition("\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise UpstreamError("the status line of the answer is malformed")
    minor = int(match[1])
    fields = _parse_fields(block, UpstreamError)
    known = _collect(fields, _RESPONSE_KEYS)
    lengths = set(known.get("content-length", ()))
    coding = _single(known, "transfer-encoding", UpstreamError)
    # Equal duplicates are tolerated in answers (RFC 9110 §8.6); one of them is sent on.
    if len(lengths) > 1 or any(not _LENGTH.fullmatch(text) for text in lengths):
        raise UpstreamError("the content-length of the answer is ambiguous")
    if coding is not None and (coding.lower() != "chunked" or lengths):
        raise UpstreamError("the framing of the answer is ambiguous")
    connection = _connection(",".join(known["connection"])) if "connection" in known else frozenset[str]()
    return ResponseHead(
        status=int(match[2]),
        reason=match[3] or "",
        minor=minor,
        fields=fields,
        keep_alive="close" not in connection if minor else "keep-alive" in connection,
        nominated=connection - HOP_BY_HOP,
        length=int(lengths.pop()) if lengths else None,
        chunked=coding is not None,
    )


def response_framing(head: ResponseHead, method: str) -> int:
    """The length of the answer's body: octets, :data:`CHUNKED` or :data:`UNTIL_CLOSE` (RFC 9112 §6.3)."""
    if method == "HEAD" or head.status < 200 or head.status in {204, 304}:
        return 0
    if head.chunked:
        return CHUNKED
    return UNTIL_CLOSE if head.length is None else head.length
