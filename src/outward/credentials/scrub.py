"""Replacing secrets by their placeholders in what an upstream answers.

A server may echo what we injected. The values of a destination are looked for in plain, in hex, in base64, where they may
stand at any of the three alignments of a longer encoded text (``Basic`` credentials, data URLs), and with any of their
characters escaped (:mod:`.escapes`). What an injection has encoded itself is looked for encoded once more.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from outward.credentials import escapes
from outward.credentials.needles import Needles

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")

MIN_ENCODED: Final = 6
"""Characters; less of base64 or hex, or of a value that is escaped, would be found by chance in any large answer."""

_BASE64_ESCAPED: Final = b"+/="
"""What is not a letter or digit in base64, and may be escaped in a URL or in JSON."""


def in_base64(value: bytes, stand_in: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Pairs of what is certain of ``value`` inside base64, at each alignment, and the same cut of ``stand_in``.

    The sextets that are shared with neighbours are left out.
    """
    stand_in = stand_in[: len(value)].ljust(len(value), b"x")
    for offset in range(3):
        start = -(-offset * 8 // 6)  # the first sextet that holds no bit of what stands before
        end = (offset + len(value)) * 8 // 6  # the last one that holds no bit of what follows
        real, fake = (b64encode(bytes(offset) + text)[start:end] for text in (value, stand_in))
        if len(real) >= MIN_ENCODED:
            yield real, fake


def _encoded_forms(value: bytes, stand_in: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Pairs of what is certain of ``value`` inside base64, at each alignment, or in hex, and the same cut of ``stand_in``.

    Both must have the same length.
    """
    for real, fake in in_base64(value, stand_in):
        yield real, fake
        yield real.translate(_URLSAFE), fake.translate(_URLSAFE)
    if len(value) >= MIN_ENCODED:
        real, fake = value.hex().encode(), stand_in.hex().encode()
        yield real, fake
        yield real.upper(), fake.upper()


class Scrubber:
    """The compiled replacements of one destination. Stateless; :class:`Stream` carries text across chunk boundaries."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]], written: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """``pairs`` are (value, placeholder); empty values are ignored.

        ``written`` are the same as an injection encodes them; a server that shows that encoded shows the value encoded twice.
        """
        self._pairs: Final = tuple(pairs)
        self._written: Final = tuple(written)
        table: dict[bytes, bytes] = {}
        escapable: dict[bytes, bytes | None] = {}
        for value, placeholder in self._pairs:
            if not value:
                continue
            table[value] = placeholder
            if len(value) >= MIN_ENCODED:
                escapable[value] = None
        for value, placeholder in (*self._pairs, *self._written):
            stand_in = placeholder[: len(value)].ljust(len(value), b"x")
            for real, fake in _encoded_forms(value, stand_in):
                table.setdefault(real, fake)
                if b"+" in real or b"/" in real:
                    escapable.setdefault(real, _BASE64_ESCAPED)
        # Longest first: where one value contains another, the whole of it must go.
        self._table: Final = tuple(sorted(table.items(), key=lambda pair: -len(pair[0])))
        self._escapable: Final = tuple((n, only) for n, only in sorted(escapable.items(), key=lambda e: -len(e[0])))
        octets = frozenset(octet for n, only in self._escapable for octet in n if only is None or octet in only)
        self._signs: Final = escapes.Signs(octets)
        self._reach: Final = escapes.LONGEST * max((len(needle) for needle, _ in self._escapable), default=0)
        self._patterns: list[tuple[re.Pattern[bytes], bytes]] | None = None
        self._needles: Final = Needles(table)
        self._keeping: Scrubber | None = None
        self.longest: Final = max((len(needle) for needle, _ in self._table), default=0)
        self.keeps_length: Final = all(len(needle) == len(fake) for needle, fake in self._table)

    def __bool__(self) -> bool:
        return bool(self._table)

    def joined(self, other: Scrubber) -> Scrubber:
        """A scrubber of the values of both."""
        return Scrubber((*self._pairs, *other._pairs), (*self._written, *other._written))

    def octets(self, data: bytes) -> bytes:
        """``data`` with every value replaced. ``data`` must be whole: see :class:`Stream` for pieces."""
        if self._needles.among(data):
            for needle, fake in self._table:
                data = data.replace(needle, fake)
        return self._without_escaped(data) if self._signs.among(data) else data

    def _without_escaped(self, data: bytes) -> bytes:
        """What stands for a value is filled up to what it takes escaped, in case the octets are counted."""
        if self._patterns is None:  # most answers never need them
            fakes = dict(self._table)
            self._patterns = [(escapes.pattern(needle, only), fakes[needle]) for needle, only in self._escapable]
        for pattern, fake in self._patterns:
            position, out = 0, b""
            for found in pattern.finditer(data):
                filling = len(found[0]) if self.keeps_length else 0
                out += data[position : found.start()] + fake.ljust(filling, b"x")
                position = found.end()
            if position:
                data = out + data[position:]
        return data

    def text(self, data: str) -> str:
        """The same for a header block, one character per octet."""
        sent = data.encode("latin-1")
        clean = self.octets(sent)
        return data if clean is sent else clean.decode("latin-1")

    def held_back(self, data: bytes) -> int:
        """How many octets at the end of ``data`` may be the beginning of a value."""
        held = self._held_plain(data)
        if not self._reach:
            return held
        tail = data[-self._reach :]
        if self._signs.among(tail):
            return max(held, self._held_escaped(tail))
        if cut := escapes.cut_off(tail):
            return max(held, cut + self._held_plain(tail[:-cut]))
        return held

    def _held_escaped(self, tail: bytes) -> int:
        held = 0
        for needle, only in self._escapable:
            reach = escapes.LONGEST * len(needle)
            for start in range(max(0, len(tail) - reach), len(tail) - held):
                if (tail[start] == needle[0] or tail[start] in b"%\\&+") and escapes.may_go_on(
                    needle, only, tail, start
                ):
                    held = len(tail) - start
                    break
        return held

    def _held_plain(self, data: bytes) -> int:
        held = 0
        tail = data[-(self.longest - 1) :] if self.longest > 1 else b""
        for needle, _ in self._table:
            start = max(0, len(tail) - len(needle) + 1)
            position = tail.find(needle[:1], start)
            while position >= 0:
                if len(tail) - position <= held:
                    break
                if needle.startswith(tail[position:]):
                    held = len(tail) - position
                    break
                position = tail.find(needle[:1], position + 1)
        return held

    def keeping_length(self) -> Scrubber:
        """One whose stand-ins are as long as what they stand for: for what counts its octets."""
        if self.keeps_length:
            return self
        if self._keeping is None:
            pairs = [(value, placeholder[: len(value)].ljust(len(value), b"x")) for value, placeholder in self._pairs]
            self._keeping = Scrubber(pairs, self._written)
        return self._keeping

    def stream(self) -> Stream:
        """A scrubber for one body."""
        return Stream(self)


class Stream:
    """Scrubs one body that arrives in pieces; never holds back more than the longest value."""

    __slots__ = ("_held", "_scrubber")

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now."""
        if self._held:
            data = self._held + data
        data = self._scrubber.octets(data)
        held = self._scrubber.held_back(data)
        if not held:
            self._held = b""
            return data
        self._held = data[-held:]
        return data[:-held]

    @property
    def held(self) -> int:
        """Octets that are held back."""
        return len(self._held)

    def finish(self) -> bytes:
        """What was held back, once the body has ended."""
        held, self._held = self._held, b""
        return held
