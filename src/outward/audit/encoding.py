"""From an event to the text of a record. Runs twice for each request, so it is written for speed."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final

from outward.core import Event

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PATH: Final = 4096
MAX_TEXT: Final = 1024
"""Characters kept of any other string."""


quote: Final = encode_basestring_ascii
"""A JSON string in ASCII: control characters, quotes, lone surrogates and all else beyond are escaped."""


def _names(values: tuple[str, ...]) -> str:
    return f"[{','.join(map(quote, values))}]"


_NOT_TEXT: Final[dict[str, Callable[[Any], str]]] = {
    "port": str,
    "secrets": _names,
    "status": str,
    "bytes_in": str,
    "bytes_out": str,
    "duration_ms": "{:.3f}".format,
    "ttfb_ms": "{:.3f}".format,
}
_OPTIONAL: Final = tuple(
    # For each field of an event after the four that are always there: its key in the record, and what writes its value.
    (f',"{name}":', _NOT_TEXT.get(name, quote))
    for name in Event._fields[4:]
)


def encode(seq: int, time: str, session: str, event: Event, prev: str) -> str:
    """The record's text without ``hash`` and closing brace, always ASCII, always one line; ``session`` is quoted already.

    Strings beyond the limits above are cut, and say how much is missing.
    """
    text = _encode(seq, time, session, event, prev)
    # Nothing can be over its limit in a short record, so most are spared the look at each string.
    return text if len(text) <= MAX_TEXT else _encode(seq, time, session, _cut(event), prev)


def _encode(seq: int, time: str, session: str, event: Event, prev: str) -> str:
    phase, identity, kind, agent = event[:4]
    optional = [
        key + write(value) for (key, write), value in zip(_OPTIONAL, event[4:], strict=True) if value is not None
    ]
    return (
        f'{{"seq":{seq},"time":"{time}","session":{session},"agent":{quote(agent)},"phase":"{phase}",'
        f'"id":{quote(identity)},"kind":{quote(kind)}{"".join(optional)},"prev":"{prev}"'
    )


def _cut(event: Event) -> Event:
    cut: dict[str, Any] = {
        name: _cut_text(value, MAX_PATH if name == "path" else MAX_TEXT)
        for name, value in zip(event._fields, event, strict=True)
        if isinstance(value, str)
    }
    cut["secrets"] = tuple(_cut_text(name, MAX_TEXT) for name in event.secrets)
    return event._replace(**cut)


def _cut_text(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"
