"""Looks for a secret in whatever came out, by undoing what programs do to text: none of it is the product's own code."""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from tests.support.codings import inflated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{8,}")
_ESCAPE = rb"(?:u00([0-9A-Fa-f]{2})|x([0-9A-Fa-f]{2})|([/\"'\\]))"
_BACKSLASH = re.compile(rb"\\" + _ESCAPE)
_BACKSLASHES = re.compile(rb"\\+" + _ESCAPE)


def _decoded(data: bytes, runs: re.Pattern[bytes], cuts: int, decode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """What the runs of letters in ``data`` may stand for, wherever they begin to."""
    texts = runs.findall(data)
    for cut in range(cuts):
        yield b"\n".join(decode(text[cut:]) for text in texts)


def _base64(text: bytes) -> bytes:
    whole = text[: len(text) // 4 * 4] if len(text) % 4 == 1 else text
    return b64decode(whole.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(whole) % 4))


def _hex(text: bytes) -> bytes:
    return binascii.unhexlify(text[: len(text) // 2 * 2])


def _views(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield "escaped for URLs", unquote_to_bytes(data)
    yield "escaped for forms", unquote_to_bytes(data.replace(b"+", b" "))
    for backslashes in (_BACKSLASH, _BACKSLASHES):
        yield "with backslashes", backslashes.sub(lambda m: m[3] or bytes([int(m[1] or m[2], 16)]), data)
    yield "escaped for HTML", html.unescape(data.decode("latin-1")).encode("latin-1", "replace")
    for text in _decoded(data, _BASE64, 4, _base64):
        yield "in base64", text
    for text in _decoded(data, _HEX, 2, _hex):
        yield "in hex", text
    for text in inflated(data):
        yield "compressed", text


def found(value: str, data: bytes, *, depth: int = 2) -> set[str]:
    """In which ways ``value``, or most of it, stands in ``data``; up to ``depth`` of them may be on top of each other."""
    piece = value[3:-3].encode("latin-1")
    level, seen, ways = {data: ""}, {data}, set[str]()
    for remaining in range(depth, -1, -1):
        ways.update(way or "plain" for text, way in level.items() if piece in text)
        if remaining:
            level = {
                view: f"{way}, {name}" if way else name
                for text, way in level.items()
                for name, view in _views(text)
                if view not in seen
            }
            seen.update(level)
    return ways


def needles(value: str) -> Iterator[bytes]:
    """What of ``value`` must not stand anywhere, for data that is too large to be decoded in every way."""
    octets = value.encode("latin-1")
    yield octets[3:-3]
    yield octets.hex().encode()[6:-6]
    yield octets.hex().upper().encode()[6:-6]
    yield quote(value, safe="").encode()
    yield value.encode("utf-16-le")[6:-6]
    for shift in range(3):
        yield b64encode(octets[shift + 3 :])[4:-8]


def files_with(value: str, places: Iterable[Path]) -> list[tuple[Path, bytes]]:
    """The files below ``places`` in which it stands, whatever they are, and as what."""
    hits = []
    for place in places:
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            if file.is_file():
                data = file.read_bytes()
                hits += [(file, needle) for needle in needles(value) if needle in data]
    return hits
