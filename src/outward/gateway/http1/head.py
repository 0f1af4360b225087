"""Message heads: start line and fields (RFC 9112 §2 to §6)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

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
# before the colon. The grammar is unambiguous, so a failed match costs linear time; possessive quantifiers, which would say
# so, match wrongly before Python 3.11.5.
_FIELDS: Final = re.compile(rf"(?:{_NAME}+:[\t\x20-\x7e\x80-\xff]*\r\n)*", re.ASCII)
# Methods are case-sensitive and the registered ones are upper-case; a server that also takes `delete` must not see it.
_REQUEST_LINE: Final = re.compile(r"([A-Z][A-Z0-9_-]{0,31}) ([\x21-\x7e]{1,32768}) HTTP/1\.([01])", re.ASCII)
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?", re.ASCII)
_MAX_LENGTH_DIGITS: Final = 18
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


Field: TypeAlias = tuple[str, str, str]
"""A header field: its name in lower case, its name and its value as sent; octets are latin-1 characters.

A plain tuple, not a named one: there are twenty of them in a request and its answer."""


CHUNKED: Final = -1
"""The length of a body that ends with its last chunk."""

UNTIL_CLOSE: Final = -2
"""The length of a body that ends with the connection; only answers can have it."""


class RequestHead:
    """A parsed request head. ``length`` is the body's: octets, or :data:`CHUNKED`.

    ``nominated`` are the field names that the Connection field declares hop-by-hop; ``text`` is the whole head, to be
    searched, never to be sent.
    """

    __slots__ = (
        "authorization",
        "expect_continue",
        "fields",
        "host",
        "keep_alive",
        "length",
        "method",
        "minor",
        "nominated",
        "target",
        "text",
        "websocket",
    )

    def __init__(
        self,
        text: str,
        method: str,
        target: str,
        minor: int,
        fields: list[Field],
        length: int,
        keep_alive: bool,
        host: str | None,
        authorization: str | None,
        expect_continue: bool,
        websocket: bool,
        nominated: frozenset[str],
    ) -> None:
        self.text: Final = text
        self.method: Final = method
        self.target: Final = target
        self.minor: Final = minor
        self.fields: Final = fields
        self.length: Final = length
        self.keep_alive: Final = keep_alive
        self.host: Final = host
        self.authorization: Final = authorization
        self.expect_continue: Final = expect_continue
        self.websocket: Final = websocket
        self.nominated: Final = nominated

    def with_length(self, length: int) -> RequestHead:
        """The same head before a body of another length."""
        return RequestHead(
            self.text,
            self.method,
            self.target,
            self.minor,
            self.fields,
            length,
            self.keep_alive,
            self.host,
            self.authorization,
            self.expect_continue,
            self.websocket,
            self.nominated,
        )


class ResponseHead:
    """A parsed response head; see :func:`response_framing` for its body.

    ``lines`` are (name in lower case, whole line); an answer's fields are passed on or dropped, never looked into.
    ``encoded`` tells that the body has a content coding; ``keep_alive_hint`` is the Keep-Alive field's value.
    """

    __slots__ = (
        "chunked",
        "encoded",
        "keep_alive",
        "keep_alive_hint",
        "length",
        "lines",
        "minor",
        "nominated",
        "reason",
        "status",
    )

    def __init__(
        self,
        status: int,
        reason: str,
        minor: int,
        lines: list[tuple[str, str]],
        keep_alive: bool,
        nominated: frozenset[str],
        length: int | None,
        chunked: bool,
        encoded: bool,
        keep_alive_hint: str,
    ) -> None:
        self.status: Final = status
        self.reason: Final = reason
        self.minor: Final = minor
        self.lines: Final = lines
        self.keep_alive: Final = keep_alive
        self.nominated: Final = nominated
        self.length: Final = length
        self.chunked: Final = chunked
        self.encoded: Final = encoded
        self.keep_alive_hint: Final = keep_alive_hint

    def values(self, name: str) -> list[str]:
        """The values of a field, whose name is in lower case, in their order."""
        return [line[len(name) + 1 :].strip(" \t") for key, line in self.lines if key == name]


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


def _checked(block: str, blame: type[OutwardError]) -> None:
    """``block`` is a field section with its last CRLF."""
    if not _FIELDS.fullmatch(block):
        raise blame("a header field is malformed")
    if block.count("\n") > MAX_FIELDS:
        raise blame("there are too many header fields")


def _parse_fields(block: str) -> tuple[list[Field], dict[str, list[str]]]:
    """The fields of a request, and the values of those that decide framing, routing or identity."""
    _checked(block, ClientError)
    fields: list[Field] = []
    known: dict[str, list[str]] = {}
    for line in block.split("\r\n")[:-1]:
        colon = line.find(":")
        name, value = line[:colon], line[colon + 1 :].strip(" \t")
        key = name.lower()
        fields.append((key, name, value))
        if key in _REQUEST_KEYS:
            known.setdefault(key, []).append(value)
    return fields, known


def _parse_lines(block: str) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """The lines of an answer, and the values of those that decide its framing."""
    _checked(block, UpstreamError)
    lines = [(line[: line.find(":")].lower(), line) for line in block.split("\r\n")[:-1]]
    known: dict[str, list[str]] = {}
    for key, line in lines:
        if key in _RESPONSE_KEYS:
            known.setdefault(key, []).append(line[len(key) + 1 :].strip(" \t"))
    return lines, known


class _Connection:
    """What a Connection field says; ``nominated`` are the names that it declares hop-by-hop."""

    __slots__ = ("close", "keep_alive", "nominated", "upgrade")

    def __init__(
        self,
        close: bool,
        keep_alive: bool,
        upgrade: bool,
        nominated: frozenset[str],
    ) -> None:
        self.close: Final = close
        self.keep_alive: Final = keep_alive
        self.upgrade: Final = upgrade
        self.nominated: Final = nominated


@lru_cache(maxsize=256)
def _connection(values: str) -> _Connection:
    options = frozenset(option.strip(" \t").lower() for option in values.split(",")) - {""}
    return _Connection(
        "close" in options, "keep-alive" in options, "upgrade" in options, options - HOP_BY_HOP - _OPTIONS
    )


_OPTIONS: Final = frozenset({"close", "keep-alive", "upgrade"})
_NO_CONNECTION: Final = _Connection(close=False, keep_alive=False, upgrade=False, nominated=frozenset())


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
_RESPONSE_KEYS: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "content-encoding", "keep-alive"}
)


def parse_request(head: bytes) -> RequestHead:
    """Parses a whole request head, empty line included. Raises :class:`ClientError` for anything ambiguous."""
    text = head.decode("latin-1")
    line, _, block = text[:-2].partition("\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if line == "PRI * HTTP/2.0":
            raise ClientError("HTTP/2 is spoken inside TLS only")
        raise ClientError("the request line is malformed")
    method, target, minor_text = match.groups()
    minor = int(minor_text)
    fields, known = _parse_fields(block)
    host = _single(known, "host", ClientError)
    if host is None and minor == 1:
        raise ClientError("there is no host field")
    expect = _single(known, "expect", ClientError)
    if expect is not None and expect.lower() != "100-continue":
        raise ClientError("the expectation is unknown")
    connection = _connection(",".join(known["connection"])) if "connection" in known else _NO_CONNECTION
    upgrade = _single(known, "upgrade", ClientError)
    # Any other upgrade (h2c above all) is declined by not passing it on (RFC 9110 §7.8).
    websocket = upgrade is not None and upgrade.lower() == "websocket" and connection.upgrade and minor == 1
    return RequestHead(
        text,
        method,
        target,
        minor,
        fields,
        _request_length(known, minor),
        not connection.close if minor else connection.keep_alive,
        host,
        _single(known, "authorization", ClientError),
        expect is not None and minor == 1,
        websocket,
        connection.nominated,
    )


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_LENGTH_DIGITS


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
    if not _is_length(length):
        raise ClientError("the content-length is not a number")
    return int(length)


def parse_response(head: bytes) -> ResponseHead:
    """Parses a whole response head, empty line included. Raises :class:`UpstreamError`."""
    line, _, block = head.decode("latin-1")[:-2].partition("\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise UpstreamError("the status line of the answer is malformed")
    minor, status, reason = match.groups()
    lines, known = _parse_lines(block)
    length = _response_length(known) if "content-length" in known else None
    chunked = "transfer-encoding" in known
    if chunked and (length is not None or [one.lower() for one in known["transfer-encoding"]] != ["chunked"]):
        raise UpstreamError("the framing of the answer is ambiguous")
    connection = _connection(",".join(known["connection"])) if "connection" in known else _NO_CONNECTION
    return ResponseHead(
        int(status),
        reason or "",
        int(minor),
        lines,
        not connection.close if minor == "1" else connection.keep_alive,
        connection.nominated,
        length,
        chunked,
        "content-encoding" in known and bool(codings(",".join(known["content-encoding"]))),
        known["keep-alive"][0] if "keep-alive" in known else "",
    )


def codings(values: str) -> list[str]:
    """The codings that a field lists, in lower case, in the order in which they were applied (RFC 9110 §8.4)."""
    return [coding for one in values.split(",") if (coding := one.strip(" \t").lower()) not in {"", "identity"}]


def _response_length(known: Mapping[str, list[str]]) -> int:
    """Equal duplicates are tolerated in answers (RFC 9110 §8.6); one of them is sent on."""
    first, *others = known["content-length"]
    if not _is_length(first) or any(other != first for other in others):
        raise UpstreamError("the content-length of the answer is ambiguous")
    return int(first)


def response_framing(head: ResponseHead, method: str) -> int:
    """The length of the answer's body: octets, :data:`CHUNKED` or :data:`UNTIL_CLOSE` (RFC 9112 §6.3)."""
    if method == "HEAD" or head.status < 200 or head.status in {204, 304}:
        return 0
    if head.chunked:
        return CHUNKED
    return UNTIL_CLOSE if head.length is None else head.length
