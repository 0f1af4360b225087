"""What the texts of a policy file mean: durations, sizes, hosts, rule lines, header names and values.

Each function takes the text and gives its meaning, or raises ``ValueError`` (or :class:`ClientError`, from the canonical
forms) with what is wrong.
"""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network
from typing import Final, Literal

from outward.core import canonical_authority, canonical_host
from outward.core.canonical import folded_name
from outward.core.expressions import expression
from outward.core.proxy import ProxyAddress, parse_proxy_url
from outward.policy.globs import canonical_glob

FIELD_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""RFC 9110 §5.6.2."""

METHOD: Final = r"[A-Z][A-Z0-9\-]*"
"""Methods are case-sensitive (RFC 9110 §9.1); every registered one is in capitals."""

UNITS_OF_TIME: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
UNITS_OF_SIZE: Final = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

_OURS: Final = frozenset(
    # Headers by which a connection is framed or routed; they are the gateway's, never a policy's (RFC 9110 §7.6.1,
    # RFC 9112 §6, §7.1.2).
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
    | {"proxy-authenticate", "proxy-authorization", "proxy-connection"}
)
_TEMPLATE_FIELD: Final = expression(r"\{([^{}]*)\}")
_VALUE: Final = expression(r"[\x20-\x7e\t]*")


def seconds(text: str) -> float:
    """``15m`` as seconds."""
    return float(int(text[:-1]) * UNITS_OF_TIME[text[-1]])


def octets(text: str) -> int:
    """``4G`` as octets; the units are powers of 1024."""
    return int(text[:-1]) * UNITS_OF_SIZE[text[-1]]


def host_pattern(text: str) -> str:
    """An exact host, ``*.suffix`` or ``*``, canonical."""
    if text == "*":
        return text
    wild = text.startswith("*.")
    name = text[2:] if wild else text
    if "*" in name:
        raise ValueError("a star stands only before the first dot, or alone")
    host = canonical_host(name)
    if wild and _is_address(host):
        raise ValueError("an address has no names below it")
    return f"*.{host}" if wild else host


def dialled(text: str) -> tuple[str, int]:
    """``connect_to``: an address and its port."""
    host, port = canonical_authority(text, None)
    if not _is_address(host):
        raise ValueError("this must be an IP address with its port")
    return host, port


def proxy_url(text: str) -> ProxyAddress:
    """The address of a proxy, without a user: a policy file is no place for a password."""
    address = parse_proxy_url(text)
    if address.userinfo is not None:
        raise ValueError("no user stands in the URL, for a password belongs in a secret: {url, username, secret}")
    return address


def proxy_choice(text: str) -> ProxyAddress | Literal["none"]:
    """``proxy`` in its short form."""
    return "none" if text == "none" else proxy_url(text)


def bypass(text: str) -> str:
    """One entry of ``no_proxy``: a name that stands for itself and all below it, an address or a network."""
    if "/" in text:
        try:
            return str(ip_network(text, strict=False))
        except ValueError:
            raise ValueError("this is not a network's address and the number of its bits") from None
    if "*" in text:
        raise ValueError("a name stands for all names below it without a star; `proxy: none` is for every host")
    return canonical_host(text.removeprefix("."))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def methods(text: str) -> frozenset[str] | None:
    """``GET,HEAD`` as a set, ``*`` as ``None``."""
    if text == "*":
        return None
    return frozenset(text.split(","))


def rule_line(text: str) -> tuple[frozenset[str] | None, str]:
    """``METHODS PATH``."""
    first, _, path = text.partition(" ")
    return methods(first), path_glob(path.strip())


def path_glob(text: str) -> str:
    """A glob over canonical paths."""
    for sign, name in (("?", "query"), ("#", "fragment")):
        if sign in text:
            raise ValueError(f"a path has no {name}; the long form of a rule takes one: {{methods, path, query}}")
    return canonical_glob(text)


def injected_header(text: str) -> str:
    """The lower-case name of a header that may be injected."""
    name = text.lower()
    if name in _OURS:
        raise ValueError(f"the header {name} belongs to the connection and cannot be injected")
    return name


def named(text: str) -> str:
    """The name of a parameter or a cookie, as it is; one that no server can tell from others is refused."""
    if any(sign in text for sign in "%[+") or not folded_name(text).strip("_"):
        raise ValueError("this is a name without percent signs, plus signs and brackets")
    return text


def matched_header(text: str) -> str:
    """The lower-case name of a header that a rule looks at."""
    return text.lower()


def template(text: str) -> tuple[str, tuple[str, ...]]:
    """A header's value and the secrets that it names in braces."""
    if not _VALUE.fullmatch(text):
        raise ValueError("the value of a header is printable ASCII")
    names = tuple(dict.fromkeys(_TEMPLATE_FIELD.findall(text)))
    if not names:
        raise ValueError("this names no secret in braces")
    if re.search(r"[{}]", _TEMPLATE_FIELD.sub("", text)):
        raise ValueError("a brace is left over")
    return text, names


def username(text: str) -> str:
    """The user of Basic authentication: no colon, no control character (RFC 7617 §2)."""
    if ":" in text or not text.isprintable():
        raise ValueError("a user name has no colon and no control character")
    return text


def plain_line(text: str) -> str:
    """One printable line."""
    if not text.strip() or not text.isprintable():
        raise ValueError("this must be one printable line")
    return text


class FileName(str):
    """A path as it stands in the file; :class:`~outward.policy.build.Builder` knows what it is relative to."""

    __slots__ = ()


class SecretName(str):
    """A name that must be one under ``secrets``."""

    __slots__ = ()


class PartName(str):
    """The name of the part, of what a source gives, that a secret is."""

    __slots__ = ()


def file_name(text: str) -> FileName:
    """The name of a file: anything without NUL."""
    return FileName(argument(text))


def argument(text: str) -> str:
    """An argument of a command, or the name of a file: anything without NUL."""
    if not text or "\0" in text:
        raise ValueError("this must not be empty or hold a NUL")
    return text


def json_object(text: str) -> str:
    """A JSON object, as it stands."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError("this must be a JSON object")  # noqa: TRY004 (a text is what it is)
    return text


def api_path(text: str) -> str:
    """A path of an API without the slash at its beginning; nothing in it that a server could read in another way."""
    if text.startswith("/") or any(segment in {"", ".", ".."} for segment in text.split("/")):
        raise ValueError("this is a path without empty or dot segments, such as secret/data/dev/github")
    return text
