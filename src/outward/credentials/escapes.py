"""Ways in which a program writes a text so that it survives inside another: URLs, JSON and JavaScript, HTML. Pure.

Any character may be written as it is or escaped, in any mixture, and twice where one text stands inside another. A regular
expression knows all of it: each character of a needle becomes the choice of its spellings. It is tried only where an escape
that can belong to the needle stands in the text, which plain searching finds out at the speed of memory.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

LONGEST: Final = 12
"""Octets of the longest spelling of one character."""

_SHORT: Final = b"/\"'\\"
"""Characters that a backslash alone may escape."""

_OPENERS: Final = b"%\\&"
"""What escapes begin with."""

_NAMED: Final = {0x22: b"quot", 0x26: b"amp", 0x27: b"apos", 0x3C: b"lt", 0x3E: b"gt"}
_CODES: Final = {name: code for code, name in _NAMED.items()}

_HEX: Final = rb"[0-9a-fA-F]"
_ENTITY: Final = re.compile(
    rb"&(?:#[xX]0{0,4}(HH)|#0{0,4}([0-9]{2,3})|(quot|amp|apos|lt|gt));".replace(b"HH", _HEX * 2)
)
_PARTIAL: Final = re.compile(
    rb"(?:%(?:25){0,2}H?|\\{1,4}(?:u0{0,2}|u00H|xH?)?|&(?:#[xX]?H{0,6}|[a-z]{0,4}))\Z".replace(b"H", _HEX)
)


def _spellings(octet: int, *, space: bool) -> bytes:
    """The choice of how one character may be written. ``space``: a plus may stand for one (form encoding)."""
    digits = b"".join(b"[%c%c]" % (d, d - 32) if d > 0x60 else b"%c" % d for d in b"%02x" % octet)
    choices = [
        rb"%(?:25){0,2}" + digits,
        rb"\\\\{0,3}(?:u00" + digits + rb"|x" + digits + rb")",
        rb"&#(?:[xX]0{0,4}" + digits + rb"|0{0,4}%d);" % octet,
    ]
    if octet in _SHORT:
        choices.append(rb"\\\\{0,3}" + re.escape(bytes([octet])))
    if octet in _NAMED:
        choices.append(b"&" + _NAMED[octet] + b";")
    if space and octet == 0x20:
        choices.append(rb"\+|%(?:25){0,2}2[bB]")  # as forms have it, and that escaped once more
    choices.append(re.escape(bytes([octet])))  # last: an escape that begins with the character itself goes as a whole
    return b"(?:" + b"|".join(choices) + b")"


def pattern(needle: bytes, only: bytes | None = None) -> re.Pattern[bytes]:
    """What finds ``needle`` in every mixture of spellings; ``only`` these characters are ever escaped, if given."""
    return re.compile(
        b"".join(
            _spellings(octet, space=True) if only is None or octet in only else re.escape(bytes([octet]))
            for octet in needle
        )
    )


def _digit(nibble: int) -> bytes:
    return b"[%x%X]" % (nibble, nibble)


def _digits(octets: frozenset[int]) -> bytes:
    """The two digits of any of them, for a regular expression."""
    return b"|".join(
        _digit(nibble)
        + b"["
        + b"".join(_digit(octet & 15)[1:-1] for octet in sorted(octets) if octet >> 4 == nibble)
        + b"]"
        for nibble in sorted({octet >> 4 for octet in octets})
    )


class Percents:
    """Tells at little cost that no ``%41``, nor ``%2541``, stands for one of some characters, as for :class:`Signs`."""

    __slots__ = ("_first", "_pattern", "_second")

    def __init__(self, octets: frozenset[int]) -> None:
        self._pattern: Final = re.compile(rb"%(?:25){0,2}(?:" + _digits(octets) + b")")
        # A bit for each first digit, by the octet that it is. There are more of them than bits: then two look alike.
        first, second = bytearray(256), bytearray([_NONE]) * 256
        for octet in octets:
            bit = 1 << (octet >> 4) % 6
            for one in _digit(octet >> 4)[1:-1]:
                first[one] |= bit
            for one in _digit(octet & 15)[1:-1]:
                second[one] |= bit
        first[0x25] |= _NONE
        first[0x32] |= _AGAIN
        second[0x35] |= _AGAIN
        self._first: Final = bytes(first)
        self._second: Final = bytes(second)

    def among(self, data: bytes) -> bool:
        """Whether there is one in ``data``."""
        start = data.find(b"%")
        if start < 0:
            return False
        if _COMPILED and data.count(b"%", start, start + _SAMPLE) > _MANY and not self.scan(data):
            return False
        return self.search(data)

    def search(self, data: bytes) -> bool:
        """The same by a regular expression, which is slow where there are many percent signs."""
        return self._pattern.search(data) is not None

    def scan(self, data: bytes) -> bool:
        """Whether there may be one: octet by octet, which is faster then if it is compiled."""
        first, second, end = self._first, self._second, len(data) - 2
        at = data.find(b"%")
        while 0 <= at < end:
            # No names for what is looked at here: compiled code would count references to them.
            if data[at] != 0x25:
                at += 1
            elif not first[data[at + 1]] & second[data[at + 2]]:
                at += 2
            elif self._stands(data, at + 1):
                return True
            else:
                at += 1
        return False

    def _stands(self, data: bytes, at: int) -> bool:
        """Whether there may be one whose percent sign is before ``at``."""
        while at + 2 <= len(data):
            if self._first[data[at]] & self._second[data[at + 1]] & ~(_NONE | _AGAIN):
                return True
            if data[at : at + 2] != b"25":
                break
            at += 2
        return False


_NONE: Final = 0x40
"""The bit of what is no escape, since another percent sign follows."""

_AGAIN: Final = 0x80
"""The bit of a percent sign that is escaped itself."""

_SAMPLE: Final = 1024
_MANY: Final = 16
"""Percent signs in so many octets are many."""

_COMPILED: Final = not hasattr(_digit, "__code__")

_Sign: TypeAlias = "tuple[bytes, re.Pattern[bytes] | None]"
"""What an escape begins with, and what it looks like as a whole if that is not all."""


class Signs:
    """Tells at little cost that no character of some needles stands escaped in a text, as is so of nearly every text.

    Programs escape what has a meaning to them. Letters and digits have none, so that even a text full of escapes shows none of
    a key's.
    """

    __slots__ = ("_percents", "_signs")

    def __init__(self, octets: frozenset[int]) -> None:
        """``octets`` are the characters of the needles that may be escaped."""
        if 0x20 in octets:
            octets |= {0x2B}
        digits = _digits(octets)
        codes = b"|".join(b"%d" % octet for octet in sorted(octets))
        signs: dict[bytes, bytes] = {}
        if octets:
            signs[b"\\u00"] = rb"\\u00(?:" + digits + rb")"
            signs[b"\\x"] = rb"\\x(?:" + digits + rb")"
            signs[b"&#"] = rb"&#(?:[xX]0{0,4}(?:" + digits + rb")|0{0,4}(?:" + codes + rb"));"
            for octet in octets.intersection(_SHORT):
                signs[b"\\" + bytes([octet])] = b""
            for octet in octets.intersection(_NAMED):
                signs[b"&" + _NAMED[octet] + b";"] = b""
        if 0x20 in octets:
            signs[b"+"] = b""
        self._percents: Final = Percents(octets) if octets else None
        self._signs: Final[dict[bytes, list[_Sign]]] = {}  # by their first octet
        for sign, closer in signs.items():
            self._signs.setdefault(sign[:1], []).append((sign, re.compile(closer) if closer else None))

    def among(self, data: bytes) -> bool:
        """Whether there may be one in ``data``."""
        if self._percents is not None and self._percents.among(data):
            return True
        for first, signs in self._signs.items():
            if data.find(first) < 0:
                continue
            for sign, closer in signs:
                if data.find(sign) >= 0 and (closer is None or closer.search(data) is not None):
                    return True
        return False


def cut_off(data: bytes) -> int:
    """How many octets at the end of ``data`` may be the beginning of an escape."""
    cut = _PARTIAL.search(data, max(0, len(data) - LONGEST))
    return len(cut[0]) if cut is not None else 0


def may_go_on(needle: bytes, only: bytes | None, text: bytes, start: int) -> bool:
    """Whether ``needle`` may begin at ``start`` in some mixture of spellings, and go on after the end of ``text``.

    One text may stand for several: ``%2541`` for ``A`` that was escaped twice, and for ``%41`` that was escaped once.
    """
    ways, known = [(0, start)], set[tuple[int, int]]()
    while ways:
        way = ways.pop()
        known.add(way)
        at, position = way
        if at == len(needle):
            continue
        if position == len(text):
            return True
        octet, found = needle[at], text[position]
        ends = [position + 1] if found == octet or (found == 0x2B and octet == 0x20) else []
        if found in _OPENERS and (only is None or octet in only):
            if _PARTIAL.match(text, position):
                return True
            ends += _ends_of_escapes(octet, text, position)
        ways += [(at + 1, end) for end in ends if (at + 1, end) not in known]
    return False


def _ends_of_escapes(octet: int, text: bytes, position: int) -> list[int]:
    """Where escapes end that begin at ``position`` and stand for this character."""
    code, ends, at = b"%02x" % octet, list[int](), position
    if text[at] == 0x25:
        at += 1
        for _ in range(3):
            if text[at : at + 2].lower() == code or (octet == 0x20 and text[at : at + 2].lower() == b"2b"):
                ends.append(at + 2)
            if text[at : at + 2] != b"25":
                break
            at += 2
    elif text[at] == 0x5C:
        for _ in range(4):
            if text[at : at + 1] != b"\\":
                break
            at += 1
            rest = text[at : at + 5].lower()
            if rest == b"u00" + code:
                ends.append(at + 5)
            elif rest[:3] == b"x" + code:
                ends.append(at + 3)
            elif octet in _SHORT and text[at : at + 1] == bytes([octet]):
                ends.append(at + 1)
    elif (entity := _ENTITY.match(text, position)) is not None:
        digits, number, name = entity.groups()
        if octet == (int(digits, 16) if digits else int(number) if number else _CODES[name]):
            ends.append(entity.end())
    return ends
