"""Answers of token endpoints: finding the tokens in them, and writing the same with others instead. Pure.

An answer is JSON (RFC 6749 §5.1) or a form, as GitHub's is unless it was asked for JSON. It is taken apart and written
anew, so what was ambiguous in it, such as a name that stands there twice, is not any more.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from outward.core import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TOKENS: Final = frozenset({"access_token", "refresh_token", "id_token"})
"""What the fields with tokens are called by RFC 6749 §5.1 and OpenID Connect Core §3.1.3.3."""

MAX_TOKEN: Final = 16 * 1024
"""Characters of one token."""

_JSON: Final = re.compile(r"application/(?:[\w.-]+\+)?json")
_FORM: Final = "application/x-www-form-urlencoded"
_VALUE: Final = re.compile(r"[\x21-\x7e]+")


class Unreadable(UpstreamError):
    """It is neither JSON nor a form, and so no answer with tokens."""


class TokenAnswer:
    """An answer that may hold tokens. ``found`` are the fields that are captured, each with its secret's name and its value."""

    def __init__(self, content_type: str, body: bytes, fields: Sequence[tuple[str, str]]) -> None:
        """``fields`` are pairs of a field's name and a secret's.

        Raises :class:`Unreadable`, and :class:`UpstreamError` for a token that is in none of the fields: nothing would keep it
        from the sandbox.
        """
        self._form: Final = content_type == _FORM
        self._document: Final = _form(body) if self._form else _json(content_type, body)
        self.found: Final = [
            (field, name, _token(field, value)) for field, name in fields if (value := self._document.get(field))
        ]
        named = {field for field, _ in fields}
        others = [field for field in self._document if field in TOKENS - named and self._document[field]]
        others += (name for inner in self._document.values() for name in _names_within(inner) if name in TOKENS)
        if others:
            raise UpstreamError(
                f"the answer holds {others[0]!r} where the policy does not capture it",
                hint=f"A field of the answer itself can be named in the rule's `capture`: {{{others[0]}: NAME}}",
            )

    def rewritten(self, stand_ins: Mapping[str, str]) -> bytes:
        """The answer with stand-ins, by the secret's name, for all that was found."""
        document = self._document | {field: stand_ins[name] for field, name, _ in self.found}
        if self._form:
            return urlencode(document).encode("ascii")
        try:
            return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
        except ValueError:
            raise UpstreamError("the answer holds a number that JSON has not") from None
        except RecursionError:
            raise UpstreamError("the answer is too deep to be written anew") from None


def _json(content_type: str, body: bytes) -> dict[str, Any]:
    if content_type and not _JSON.fullmatch(content_type):
        raise Unreadable(f"the answer of a token endpoint is {content_type!r}, and neither JSON nor a form")
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unreadable("the answer of a token endpoint is no JSON") from None
    if not isinstance(document, dict):
        raise Unreadable("the answer of a token endpoint is no JSON object")
    return document


def _form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise Unreadable("the answer of a token endpoint is no form") from None
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Unreadable("the answer of a token endpoint says something twice")
    return document


def _names_within(value: object) -> Iterator[str]:
    """The names of all fields of what stands inside, however deep."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            yield from inner
            waiting.extend(inner.values())
        elif isinstance(inner, list):
            waiting.extend(inner)


def _token(field: str, value: object) -> str:
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or len(value) > MAX_TOKEN:
        raise UpstreamError(f"the field {field!r} of the answer is no token")
    return value
