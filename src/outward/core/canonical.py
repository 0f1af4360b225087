"""Canonical forms of hosts, authorities, paths and queries.

What is matched is what is sent: the gateway decides about these forms and re-serialises them, so that no server sees
anything that the policy did not. Whatever can be read in two ways is a :class:`ClientError`, never a match.

Sources: RFC 3986 (URI), RFC 9110 §7.1 (target resource), RFC 5891 and UTS 46 (IDNA), RFC 5952 (IPv6), WHATWG URL §3.5 (hosts
that end in a number are IPv4 addresses to resolvers).
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from outward.core.errors import ClientError
from outward.core.expressions import expression
from outward.core.records import NamedTuple

MAX_HOST: Final = 253
"""Octets of a host name (RFC 1035 §2.3.4, without the trailing dot)."""

_HOST: Final = expression(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)
_NUMERIC_LABEL: Final = expression(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)", re.ASCII)
_PORT: Final = expression(r"[0-9]{1,5}", re.ASCII)


@lru_cache(maxsize=4096)
def canonical_host(host: str) -> str:
    """Lower-cases, converts to A-labels, drops one trailing dot; IPv6 literals lose their brackets.

    Raises :class:`ClientError` for any character outside letters, digits, ``-``, ``_`` and ``.``, for empty or overlong
    labels, and for numeric spellings (``127.1``, ``0x7f000001``, ``2130706433``) that a resolver would take for an address
    although they do not look like one.
    """
    if host.startswith("[") or ":" in host:
        return _ipv6(host)
    name = host
    if not name.isascii():
        name = _to_a_labels(name)
    name = name.lower().removesuffix(".")
    if len(name) > MAX_HOST or not _HOST.fullmatch(name):
        raise ClientError(f"{host!r} is not a host name")
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise ClientError(f"{host!r} is an ambiguous spelling of an address") from None
    return name


def is_address(host: str) -> bool:
    """Whether a canonical host is an IP literal (which TLS never names, RFC 6066 §3)."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def _ipv6(host: str) -> str:
    literal = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = IPv6Address(literal)
    except ValueError:
        raise ClientError(f"{host!r} is not a host name") from None
    if address.scope_id is not None:
        raise ClientError(f"{host!r} names an interface; zone identifiers are not accepted")
    # RFC 5952 §5, which Python's own form follows from 3.13 on.
    return str(address) if (mapped := address.ipv4_mapped) is None else f"::ffff:{mapped}"


def _to_a_labels(name: str) -> str:
    import idna  # here: most runs never see a non-ASCII host, and the tables are large

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise ClientError(f"{name!r} is not a valid internationalised host name") from None


@lru_cache(maxsize=4096)
def canonical_authority(authority: str, default_port: int | None) -> tuple[str, int]:
    """Splits ``host[:port]`` and canonicalises both. Raises :class:`ClientError`; user information is refused.

    ``default_port`` is the port when none is given; ``None`` means that one must be given (CONNECT, RFC 9110 §9.3.6).
    """
    if "@" in authority:
        raise ClientError("an authority must not carry user information")
    host, port_text = authority, ""
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ClientError(f"{authority!r} is not host:port")
        host, port_text, has_port = host + "]", rest[1:], bool(rest)
    else:
        host, colon, port_text = authority.partition(":")
        has_port = bool(colon)
    if not has_port:
        if default_port is None:
            raise ClientError(f"{authority!r} has no port")
        return canonical_host(host), default_port
    if not _PORT.fullmatch(port_text) or not 0 < (port := int(port_text)) < 65536:
        raise ClientError(f"{authority!r} has no valid port")
    return canonical_host(host), port


DEFAULT_PORT: Final = {"https": 443, "http": 80}


def authority(host: str, port: int, scheme: str) -> str:
    """``host[:port]`` of a canonical host: brackets for IPv6, the port only where it is not the scheme's own."""
    name = f"[{host}]" if ":" in host else host
    return name if port == DEFAULT_PORT.get(scheme) else f"{name}:{port}"


class CanonicalPath(NamedTuple):
    """``path`` is what is matched and sent; ``folded`` is how a careless server might read it (:func:`fold_path`)."""

    path: str
    folded: str


# A path that is canonical as it stands: the common case, decided by one scan. No percent sign, no empty or dot segment.
_PLAIN_PATH: Final = expression(r"(?:/(?!\.{1,2}(?:[/;]|\Z))[A-Za-z0-9\-._~!$&'()*+,;=:@]+)+/?|/", re.ASCII)
_KEEP: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE: Final = expression(rb"%([0-9A-Fa-f]{2})|%|([^%]+)")
_DOUBLE_ESCAPE: Final = expression(r"%25(?:2[EeFf5]|5[Cc]|[01][0-9A-Fa-f])")
_PRINTABLE: Final = expression(r"%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
_PRINTABLE_BUT_SLASHES: Final = expression(r"%(?!2[Ff]|5[Cc])([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
_PARAMETERS: Final = expression(r";[^/]*")
_SLASHES: Final = expression(r"/{2,}")


@lru_cache(maxsize=4096)
def canonical_path(path: str) -> CanonicalPath:
    """The canonical form of an absolute path, without query (RFC 3986 §6.2.2).

    * Unreserved characters are decoded, everything that needs an escape is escaped, escapes are upper-case.
    * Dot segments are resolved (§5.2.4), so ``/a/../b`` is matched and sent as ``/b``.
    * An encoded slash stays encoded: it is part of its segment. Where reading it as a slash would give a dot segment, the
      path is refused, as are backslashes, controls, doubly encoded separators and ``..;`` segments.

    ``path`` must hold one character per octet (latin-1). Raises :class:`ClientError`.
    """
    if _PLAIN_PATH.fullmatch(path):
        return CanonicalPath(path, fold_path(path))
    if not path.startswith("/"):
        raise ClientError("the path must start with a slash")
    escaped = _escape(path)
    if _DOUBLE_ESCAPE.search(escaped):
        raise ClientError("the path is encoded twice")
    resolved = _resolve_dot_segments(escaped)
    if any(segment.partition(";")[0] in {".", ".."} for segment in _decode(resolved).split("/")):
        raise ClientError("the path hides a dot segment")
    return CanonicalPath(resolved, fold_path(resolved))


def fold_path(path: str) -> str:
    """How a careless server might read a canonical path.

    Escapes of printable ASCII are decoded (twice encoded ones too), backslashes read as slashes, path parameters
    (``;v=1``) and empty segments dropped, letters lower-cased. Different paths may fold to one; nothing is ever sent in
    this form.
    """
    return _SLASHES.sub("/", _PARAMETERS.sub("", _decode(path))).lower()


def path_readings(path: str) -> frozenset[str]:
    """Every way in which servers might read a canonical path: what denies must look at all of them.

    Escapes and letter case mean nothing to some servers; whether an encoded slash is a slash, and a path parameter a part
    of the segment, differs. Most paths have one reading.
    """
    split, whole = _SLASHES.sub("/", _decode(path)), _decode(path, _PRINTABLE_BUT_SLASHES)
    readings = {split, whole, _PARAMETERS.sub("", whole), fold_path(path)}
    return frozenset(reading.lower() for reading in readings) | ({path} if "%" in path else set())


def _decode(path: str, escapes: re.Pattern[str] = _PRINTABLE) -> str:
    if "%" not in path:
        return path
    while (decoded := escapes.sub(lambda escape: chr(int(escape[1], 16)), path)) != path:
        path = decoded
    return path.replace("\\", "/")


def _escape(path: str) -> str:
    out: list[str] = []
    try:
        raw = path.encode("latin-1")
    except UnicodeEncodeError:
        try:
            raw = path.encode("utf-8")
        except UnicodeEncodeError:
            raise ClientError("the path holds half of a character") from None
    for match in _ESCAPE.finditer(raw):
        code, plain = match.groups()
        if code is not None:
            octet = int(code, 16)
            if octet < 0x20 or octet == 0x7F:
                raise ClientError("the path holds an encoded control character")
            out.append(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}")
        elif plain is not None:
            for octet in plain:
                if octet <= 0x20 or octet == 0x7F or octet in b"\\#?":
                    raise ClientError(f"the path holds the character {chr(octet)!r}")
                out.append(chr(octet) if octet in _KEEP else f"%{octet:02X}")
        else:
            raise ClientError("the path holds a percent sign that is not an escape")
    return "".join(out)


def _resolve_dot_segments(path: str) -> str:
    out: list[str] = []
    segments = path.split("/")[1:]
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "..":
            if out:
                out.pop()
            if last:
                out.append("")
        elif segment == ".":
            if last:
                out.append("")
        else:
            out.append(segment)
    return "/" + "/".join(out)


_NAME_ESCAPE: Final = expression(r"%([0-9A-Fa-f]{2})")
_NAME_END: Final = expression(r"[\[\x00]")
_NAME_BLANK: Final = expression(r"[ +.]")


def folded_name(name: str) -> str:
    """How a careless server might read the name of a query parameter or a cookie, as it stands there.

    Escapes are decoded, letters lower-cased; as PHP has it, blanks and dots are underscores, leading blanks nothing, and an
    index (``key[]``) is no part of the name. Different names may fold to one; nothing is ever sent in this form.
    """
    decoded = _NAME_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), name.replace("+", " ")).lstrip(" \t")
    return _NAME_BLANK.sub("_", _NAME_END.split(decoded, maxsplit=1)[0]).lower()


_QUERY: Final = expression(r"[\x21\x22\x24-\x5b\x5d-\x7e]*", re.ASCII)


def canonical_query(query: str) -> str:
    """Checks a query and gives it back as it is (RFC 3986 §3.4).

    Servers differ in what they tolerate, so nothing is re-encoded; controls, spaces, ``#``, backslashes and octets above
    0x7E are refused with :class:`ClientError`.
    """
    if query and not _QUERY.fullmatch(query):
        raise ClientError("the query holds a character that must be encoded")
    return query
