"""Placeholders as canaries: found where they do not belong, in whatever spelling (:mod:`.scrub`).

Whoever sends a placeholder to where it is of no use has been made to: that is worth knowing, and the request is worth stopping.
"""

from __future__ import annotations

import re
from base64 import b32encode
from typing import TYPE_CHECKING, Final

from outward.credentials.forms.placeholder import decode_basic
from outward.credentials.scrub import Scrubber

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_IN_NAME: Final = 8
"""Letters and digits of a placeholder; less would be found in host names by chance."""

MIN_LABEL: Final = 20
"""Letters and digits of a label that is a part of a placeholder: a name has room for a part only, of long ones."""

_NOT_ALPHANUMERIC: Final = re.compile(r"[^a-z0-9]+")


class Canaries:
    """The placeholders that do not belong into some requests. Stateless; :class:`Watch` looks through bodies in pieces."""

    __slots__ = ("_finders", "_names", "finder")

    def __init__(self, names: Mapping[str, str]) -> None:
        """``names`` are those of the secrets, by placeholder."""
        self._names: Final = dict(names)
        self.finder: Final = Scrubber((text.encode("latin-1"), b"") for text in names)
        self._finders: list[tuple[str, Scrubber]] = []  # one for each, made when it is asked which one it was

    def in_octets(self, data: bytes) -> str | None:
        """The name of a secret whose placeholder stands in ``data``."""
        clean = self.finder.octets(data)
        return None if clean is data or clean == data else self._which(data)

    def in_head(self, head: str, authorization: str | None) -> str | None:
        """The same for a request's head; ``authorization`` is that field's value."""
        found = self.in_octets(head.encode("latin-1"))
        if found is None and authorization is not None:
            pair = decode_basic(authorization)
            if pair is not None:
                found = self.in_octets(pair.encode("latin-1"))
        return found

    def _which(self, data: bytes) -> str:
        if not self._finders:
            self._finders = [(name, Scrubber([(text.encode("latin-1"), b"")])) for text, name in self._names.items()]
        for name, finder in self._finders:
            if finder.octets(data) != data:
                return name
        return next(iter(self._names.values()))  # two that overlap: whichever


class Watch:
    """Looks through one body that arrives in pieces. ``found`` is the name of the secret whose placeholder is in it."""

    __slots__ = ("_canaries", "_held", "found", "lets_pass")

    def __init__(self, canaries: Canaries, *, lets_pass: bool) -> None:
        """``lets_pass``: what is found is only to be known of; else nothing goes on that may be the beginning of one."""
        self._canaries: Final = canaries
        self._held = b""
        self.lets_pass: Final = lets_pass
        self.found: str | None = None

    def feed(self, payload: bytes, *, done: bool) -> bytes:
        """What may go on now; nothing may, once one is found that does not pass."""
        if self.found is not None:
            return payload if self.lets_pass else b""
        data = self._held + payload if self._held else payload
        self.found = self._canaries.in_octets(data)
        if self.found is not None and not self.lets_pass:
            return b""
        held = 0 if done or self.found is not None else self._canaries.finder.held_back(data)
        going = len(data) - held
        self._held = data[going:] if held else b""
        return payload if self.lets_pass or (not held and going == len(payload)) else data[:going]


def in_name(names: Mapping[str, str], host: str) -> str | None:
    """The name of a secret whose placeholder, or a good part of it, is in a host name. ``names``: see :class:`Canaries`.

    Names have no case, and few characters beside letters and digits; long ones consist of labels of at most 63. So it may
    stand there without the others, or in hexadecimal, or in base32.
    """
    if not names:
        return None
    lower = host.lower()
    whole = _NOT_ALPHANUMERIC.sub("", lower)
    if len(whole) < MIN_IN_NAME:
        return None
    labels = [each for label in lower.split(".") if len(each := _NOT_ALPHANUMERIC.sub("", label)) >= MIN_LABEL]
    for text, secret in names.items():
        octets = text.encode("latin-1")
        plain = _NOT_ALPHANUMERIC.sub("", text.lower())
        for form in (plain, octets.hex(), b32encode(octets).decode("ascii").rstrip("=").lower()):
            if len(form) >= MIN_IN_NAME and (form in whole or any(label in form for label in labels)):
                return secret
    return None
