"""Placeholders inside of a request's body: JSON, forms and text, piece by piece as it arrives.

Only where the policy asks for it, since a body is often what a service publishes. What says that it is something else, or that
it is compressed, is passed on as it is: a placeholder in it is of no use to anybody. So are the messages of gRPC and Connect,
which count their octets.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import quote

from outward.core import SecretUnavailable
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outward.core import Secret

Kind: TypeAlias = Literal["json", "form", "text"]

_KINDS: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (
        re.compile(r"application/(?:(?!grpc|connect)[\w.-]+\+)?json|application/(?:x-)?ndjson|application/json-seq"),
        "json",
    ),
    (re.compile(r"application/x-www-form-urlencoded"), "form"),
    (re.compile(r"text/[\w.+-]+|application/graphql"), "text"),
)


def kind_of(fields: Iterable[tuple[str, str, str]]) -> Kind | None:
    """How values are written in the body of a request with these header fields; ``None`` for what is not looked into.

    Two fields that say what it is, or any content coding, are no ground to stand on.
    """
    found: list[str] = []
    for key, _, value in fields:
        if key == "content-encoding":
            return None
        if key == "content-type":
            found.append(value.partition(";")[0].strip().lower())
    if len(found) != 1:
        return None
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(found[0])), None)


def _spellings(character: str, kind: Kind) -> tuple[bytes, ...]:
    """All ways in which a character may be written, none of them the beginning of another."""
    code, plain = ord(character), character.encode("latin-1")
    escapes: set[str] = set()
    if kind == "json":  # RFC 8259 §7
        escapes = {f"\\u{code:04x}", f"\\u{code:04X}"} | ({"\\/"} if character == "/" else set())
    elif kind == "form":
        escapes = {f"%{code:02x}", f"%{code:02X}"}
    return plain, *(escape.encode("ascii") for escape in sorted(escapes))


def _written(secret: Secret, kind: Kind) -> bytes:
    value = secret.reveal()
    match kind:
        case "json":
            try:
                return json.dumps(value.decode("utf-8"))[1:-1].encode("ascii")
            except UnicodeDecodeError:
                raise SecretUnavailable(secret.name, "the value is not text and cannot stand in JSON") from None
        case "form":
            return quote(value, safe="").encode("ascii")
        case "text":
            return value


class _StandIn(NamedTuple):
    """What is looked for, character by character, and what is written instead."""

    spellings: tuple[tuple[bytes, ...], ...]
    value: bytes

    @property
    def pattern(self) -> bytes:
        """All spellings of the whole."""
        return b"".join(b"(?:" + b"|".join(map(re.escape, ways)) + b")" for ways in self.spellings)

    @property
    def longest(self) -> int:
        """Octets of its longest spelling."""
        return sum(max(map(len, ways)) for ways in self.spellings)

    def begins_with(self, text: bytes) -> bool:
        """Whether ``text`` is the beginning of a spelling, and not yet all of it."""
        at = 0
        for ways in self.spellings:
            rest = text[at : at + 6]
            way = next((way for way in ways if rest.startswith(way)), None)
            if way is None:
                return any(way.startswith(rest) for way in ways)
            at += len(way)
        return False


class BodyTable:
    """The placeholders of one destination that are swapped in bodies of one kind. Stateless."""

    def __init__(self, pairs: Sequence[tuple[str, Secret]], kind: Kind) -> None:
        """``pairs`` are (placeholder, value). Raises :class:`SecretUnavailable` for a value that cannot be written so."""
        self.stand_ins: Final = [
            _StandIn(tuple(_spellings(character, kind) for character in text), _written(secret, kind))
            # Where one placeholder begins another, the longer one is meant.
            for text, secret in sorted(pairs, key=lambda pair: -len(pair[0]))
        ]
        self.pattern: Final = re.compile(b"|".join(b"(" + each.pattern + b")" for each in self.stand_ins))
        self.window: Final = max(each.longest for each in self.stand_ins) - 1
        firsts = {way[:1] for each in self.stand_ins for way in each.spellings[0]}
        self.first: Final = re.compile(b"|".join(map(re.escape, sorted(firsts))))

    def whole(self, data: bytes) -> bytes:
        """A whole body, swapped."""
        return BodySwap(self).feed(data, last=True)

    def may_begin(self, tail: bytes) -> bool:
        """Whether a placeholder may begin at the beginning of ``tail``, and go on after its end."""
        return any(each.begins_with(tail) for each in self.stand_ins)


class BodySwap:
    """Swaps in one body that arrives in pieces; holds back no more than what may be the beginning of a placeholder."""

    __slots__ = ("_held", "_table")

    def __init__(self, table: BodyTable) -> None:
        self._table: Final = table
        self._held = b""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """What may be passed on now; with ``last``, all."""
        table = self._table
        if self._held:
            data = self._held + data
        out: list[bytes] = []
        position = 0
        for match in table.pattern.finditer(data):
            if not last and table.may_begin(data[match.start() : match.start() + table.window + 1]):
                break  # of two that begin alike, it may become the longer one
            out += (data[position : match.start()], table.stand_ins[(match.lastindex or 1) - 1].value)
            position = match.end()
        end = len(data) if last else self._held_from(data, position)
        out.append(data[position:end])
        self._held = data[end:]
        return b"".join(out)

    def _held_from(self, data: bytes, position: int) -> int:
        table = self._table
        for match in table.first.finditer(data, max(position, len(data) - table.window)):
            if table.may_begin(data[match.start() :]):
                return match.start()
        return len(data)
