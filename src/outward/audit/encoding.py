"""From an event to the text of a record. Runs twice for each request, so it is written for speed."""

from __future__ import annotations

from functools import lru_cache
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
_WRITERS: Final = tuple((f',"{name}":', _NOT_TEXT.get(name, quote)) for name in Event._fields)
"""For each field of an event its key in the record, and what writes its value."""
_METHOD: Final = Event._fields.index("method")
_STATUS: Final = Event._fields.index("status")
_REQUEST: Final = _WRITERS[_METHOD:_STATUS]
_OUTCOME: Final = _WRITERS[_STATUS:]


def encode(seq: int, time: str, session: str, event: Event, prev: str) -> str:
    """The record's text without ``hash`` and closing brace, always ASCII, always one line; ``session`` is quoted already.

    Strings beyond the limits above are cut, and say how much is missing.
    """
    text = _encode(seq, time, session, event, prev)
    # Nothing can be over its limit in a short record, so most are spared the look at each string.
    return text if len(text) <= MAX_TEXT else _encode(seq, time, session, _cut(event), prev)


def _encode(seq: int, time: str, session: str, event: Event, prev: str) -> str:
    return (
        f'{{"seq":{seq},"time":"{time}","session":{session},"agent":{quote(event.agent)},"phase":"{event.phase}",'
        f'"id":{quote(event.id)},"kind":{quote(event.kind)}{_request(event[_METHOD:_STATUS])}'
        f'{_fields(_OUTCOME, event[_STATUS:])},"prev":"{prev}"'
    )


@lru_cache(maxsize=128)
def _request(values: tuple[Any, ...]) -> str:
    """What was asked and decided: the same in the start and the end of a request, and in many requests of an agent."""
    return _fields(_REQUEST, values)


def _fields(writers: tuple[tuple[str, Callable[[Any], str]], ...], values: tuple[Any, ...]) -> str:
    return "".join(
        [key + write(value) for (key, write), value in zip(writers, values, strict=True) if value is not None]
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
