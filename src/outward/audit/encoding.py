"""From an event to the text of a record. Runs twice for each request, so it is written for speed."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Final

from outward.core import Event

MAX_PATH: Final = 4096
MAX_TEXT: Final = 1024
"""Characters kept of any other string."""
quote: Final = encode_basestring_ascii
"""A JSON string in ASCII: control characters, quotes, lone surrogates and all else beyond are escaped."""


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
        f'"id":{quote(event.id)},"kind":{quote(event.kind)}{_text("method", event.method)}{_text("scheme", event.scheme)}'
        f"{_text('host', event.host)}{_number('port', event.port)}{_text('path', event.path)}"
        f"{_text('verdict', event.verdict)}{_text('code', event.code)}{_text('rule', event.rule)},"
        f'"secrets":{_names(event.secrets)}{_number("status", event.status)}{_number("bytes_in", event.bytes_in)}'
        f"{_number('bytes_out', event.bytes_out)}{_duration('duration_ms', event.duration_ms)}"
        f"{_duration('ttfb_ms', event.ttfb_ms)}{_text('address', event.address)}{_text('error', event.error)}"
        f'{_leaks(event.leaks)},"prev":"{prev}"'
    )


def _text(name: str, value: str | None) -> str:
    return "" if value is None else f',"{name}":{quote(value)}'


def _number(name: str, value: int | None) -> str:
    return "" if value is None else f',"{name}":{value}'


def _duration(name: str, value: float | None) -> str:
    if value is None:
        return ""
    # Put together: a format with digits to be counted takes three times as long.
    micro = int(value * 1000 + 0.5)
    return f',"{name}":{micro // 1000}.{str(1000 + micro % 1000)[1:]}'


def _names(values: tuple[str, ...]) -> str:
    return f"[{','.join([quote(value) for value in values])}]"


def _leaks(values: tuple[str, ...]) -> str:
    return f',"leaks":{_names(values)}' if values else ""


def _cut(event: Event) -> Event:
    return Event(
        event.phase,
        _short(event.id),
        _short(event.kind),
        _short(event.agent),
        _short_or_none(event.method),
        _short_or_none(event.scheme),
        _short_or_none(event.host),
        event.port,
        None if event.path is None else _short(event.path, MAX_PATH),
        _short_or_none(event.verdict),
        _short_or_none(event.code),
        _short_or_none(event.rule),
        tuple([_short(name) for name in event.secrets]),
        event.status,
        event.bytes_in,
        event.bytes_out,
        event.duration_ms,
        event.ttfb_ms,
        _short_or_none(event.address),
        _short_or_none(event.error),
        tuple([_short(name) for name in event.leaks]),
    )


def _short_or_none(text: str | None) -> str | None:
    return None if text is None else _short(text)


def _short(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"
