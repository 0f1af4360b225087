"""The injector of one destination: its forms compiled into what is removed from, and added to, a request's header.

Injection hangs below the rule that allowed the request: a request reaches an injector only through the verdict's
destination, so it can never be wider than enforcement.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from outward.core.canonical import folded_name
from outward.credentials.canaries import Canaries
from outward.credentials.forms import basic, body, cookie, header, placeholder, query
from outward.credentials.forms.header import header_text
from outward.credentials.scrub import Scrubber, in_base64

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from outward.core import Destination, Injection, Secret
    from outward.credentials.forms.signing import Signed, Signer, Signing, Unsigned

CLIENT_CREDENTIALS: Final = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "api-key", "x-amz-security-token"}
)
"""Headers by which a client authenticates; removed, or an attacker's own key would make an allowed API a drop box."""

_RENDERERS: Final = {
    # Forms that give one header line, whatever the client sent.
    "header": header.render,
    "basic": basic.render,
}


class Values(Protocol):
    """Where an injector gets its values: a :class:`CredentialStore`, or what one agent sees of it."""

    def stand_ins(self, name: str) -> tuple[str, ...]:
        """What stands for the value inside, the newest first."""
        ...

    @property
    def version(self) -> int:
        """Grows when there are stand-ins that :meth:`foreign` did not know."""
        ...

    def foreign(self, bound: Sequence[str]) -> dict[str, str]:
        """The names of all secrets but those in ``bound``, by their stand-ins."""
        ...

    def is_missing(self, name: str) -> bool:
        """Whether there is none, because nobody has logged in."""
        ...

    def cached(self, name: str) -> Secret | None:
        """The value if it is at hand, the same object until it changes. Raises :class:`SecretUnavailable`."""
        ...

    def expiry(self, name: str) -> float:
        """Until when :meth:`cached` gives the same, on the monotonic clock."""
        ...

    async def fetch(self, name: str, *, needed: bool) -> None:
        """Fetches it if need be. Raises :class:`SecretUnavailable`; for what is missing only where it is ``needed``."""
        ...


class Injector:
    """Compiled from a destination when the policy is loaded.

    ``sets`` are the lower-case names of the headers that we write, ``removes`` those of the client's that do not go out
    (unless a placeholder in them is swapped), ``secrets`` the names of what is injected, ``names`` of all that
    the destination is bound to: the key of our certificate, too. Where a form signs
    requests, ``signer`` is it, and ``passing`` leaves what has been signed as it is.
    """

    def __init__(self, destination: Destination, store: Values) -> None:
        self._store: Final = store
        self._injections: Final = destination.inject
        self._redact: Final = destination.redact
        self.secrets: Final = tuple(dict.fromkeys(name for i in destination.inject for name in i.secrets))
        certificate = destination.client_certificate
        self.names: Final = (*self.secrets, certificate[1]) if certificate is not None else self.secrets
        self._places: Final = _places(destination.inject)
        # Nothing goes out bare: only what the client itself has to put somewhere may be missing, and then it cannot.
        self._set: Final = frozenset(name for i in destination.inject if i.form != "placeholder" for name in i.secrets)
        self._captures: Final = any(rule.capture for rule in destination.rules)
        self._swaps_in_body: Final = any("body" in places for places in self._places.values())
        self._swapped: dict[str, tuple[str, frozenset[str]]] = {}
        self._in_query: tuple[tuple[re.Pattern[str], str], ...] = ()
        self._in_body: tuple[tuple[str, str], ...] = ()
        self._look_for_stand_ins()
        self.sets: Final = frozenset(i.sets for i in destination.inject if i.sets is not None)
        self._parameters: Final = frozenset(folded_name(i.name) for i in destination.inject if i.form == "query")
        self._cookies: Final = frozenset(folded_name(i.name) for i in destination.inject if i.form == "cookie")
        self._keeps_cookies: Final = bool(self._cookies) and destination.client_credentials == "pass"
        self._tables: dict[body.Kind, body.BodyTable] = {}
        stripped = CLIENT_CREDENTIALS if destination.client_credentials == "strip" else frozenset[str]()
        self.removes: Final = stripped | self.sets
        self._fresh_until = 0.0 if self.secrets else float("inf")
        self._values: dict[str, Secret] = {}
        self._rendered = False
        self._canaries: Canaries | None = None
        self._version = -1
        self._lines: tuple[tuple[str, str], ...] = ()
        self._query = ""
        self._cookie = ""
        self._scrubber: Scrubber | None = None
        self.signer: Final[Signer | None] = next((_signer(i) for i in destination.inject if i.signs), None)
        self.passing: Final[Injector | None] = (
            Injector(destination._replace(inject=(), client_credentials="pass"), store) if self.signer else None
        )

    def ready(self) -> bool:
        """Whether every value is at hand; else await :meth:`fetch`. Raises :class:`SecretUnavailable`.

        Renders the header lines anew only when a value has changed.
        """
        if time.monotonic() < self._fresh_until:
            return True
        values: dict[str, Secret] = {}
        for name in self.secrets:
            value = self._store.cached(name)
            if value is not None:
                values[name] = value
            elif name in self._set or not self._store.is_missing(name):
                return False
        if values != self._values or not self._rendered:  # the same objects, as long as the values are the same
            self._render(values)
        self._fresh_until = min(map(self._store.expiry, self.secrets))
        return True

    async def fetch(self) -> None:
        """Fetches what is missing. Raises :class:`SecretUnavailable`."""
        for name in self.secrets:
            await self._store.fetch(name, needed=name in self._set)

    def _look_for_stand_ins(self) -> None:
        self._swapped = {
            text: (name, places) for name, places in self._places.items() for text in self._store.stand_ins(name)
        }
        self._in_query = tuple(
            (query.spellings(text), name) for text, (name, places) in self._swapped.items() if "query" in places
        )
        self._in_body = tuple((t, name) for t, (name, places) in self._swapped.items() if "body" in places)

    def _render(self, values: dict[str, Secret]) -> None:
        injections = self._injections
        lines = [_RENDERERS[i.form](i, values) for i in injections if i.form in _RENDERERS]
        self._cookie = "; ".join(cookie.render(i.name, values[i.secrets[0]]) for i in injections if i.form == "cookie")
        if self._cookie and not self._keeps_cookies:
            lines.append(("cookie", self._cookie))
        self._lines = tuple(lines)
        self._query = "&".join(query.render(i.name, values[i.secrets[0]]) for i in injections if i.form == "query")
        for secret in values.values():
            header_text(secret)  # whatever the form: a value that cannot stand in a header is refused now
        if self._redact:
            self._scrubber = self._new_scrubber(values)
        self._values, self._rendered = values, True
        self._look_for_stand_ins()
        self._tables.clear()

    def _new_scrubber(self, values: Mapping[str, Secret]) -> Scrubber:
        """Of the values, and of what goes out instead of them: escaped in queries and bodies, in base64 in Basic."""
        fake = self._store.stand_ins
        real = {name: (secret.reveal(), fake(name)[0].encode("latin-1")) for name, secret in values.items()}
        pairs = [*real.values(), *((_in_json(value), _in_json(stand_in)) for value, stand_in in real.values())]
        written = [(_quoted(value), _quoted(stand_in)) for value, stand_in in real.values()]
        for injection in self._injections:
            if injection.form == "basic" or "basic" in injection.places:
                for name in real.keys() & injection.secrets:
                    written.extend(in_base64(*real[name]))
        return Scrubber(dict(pairs).items(), dict(written).items())

    def canaries(self) -> Canaries | None:
        """The stand-ins that do not belong to this destination, if there are any."""
        version = self._store.version
        if version != self._version:
            names = self._store.foreign(self.secrets)
            self._canaries = Canaries(names) if names else None
            self._version = version
        return self._canaries

    @property
    def wants_identity(self) -> bool:
        """Whether the answer is looked into, so that it must not come compressed."""
        return self._scrubber is not None or self._captures

    @property
    def lines(self) -> Sequence[tuple[str, str]]:
        """The header lines to add, valid after :meth:`ready`."""
        return self._lines

    def cookies(self, sent: str) -> str | None:
        """The cookies to send, where those of the client (``sent``) may stand beside ours; else they are in ``lines``."""
        if not self._keeps_cookies:
            return None
        others = cookie.without(sent, self._cookies)
        return f"{self._cookie}; {others}" if others else self._cookie

    def query(self, sent: str) -> str:
        """The query to send, instead of the client's: our parameters in it and none of the client's with their names."""
        if self._in_query and sent:
            sent = query.swapped(sent, [(each, self._values[name].reveal()) for each, name in self._in_query])
        if not self._parameters:
            return sent
        others = query.without(sent, self._parameters)
        return f"{others}&{self._query}" if others else self._query

    def looks_into_body(self, fields: Sequence[tuple[str, str, str]]) -> bool:
        """Whether placeholders are swapped in the body of a request with these header fields."""
        return self._swaps_in_body and body.kind_of(fields) is not None

    def body_table(self, fields: Sequence[tuple[str, str, str]]) -> body.BodyTable | None:
        """What is swapped in it, or ``None`` if it is not looked into. Raises :class:`SecretUnavailable`."""
        kind = body.kind_of(fields) if self._in_body else None
        if kind is None:
            return None
        table = self._tables.get(kind)
        if table is None:
            pairs = [(text, self._values[name]) for text, name in self._in_body]
            table = self._tables[kind] = body.BodyTable(pairs, kind)
        return table

    def sign(self, signing: Signing, request: Unsigned) -> Signed:
        """``request``, signed with the values that are at hand. Raises what :class:`Signing` does."""
        return signing.sign(request, self._values)

    @property
    def scrubber(self) -> Scrubber | None:
        """What takes the values out of the answer; ``None`` where nothing is bound or the policy says not to."""
        return self._scrubber

    def mentioned(self, head: str, authorization: str | None) -> bool:
        """Whether a placeholder that is swapped here may stand in a request; if not, no field need be looked at."""
        return bool(self._swapped) and (authorization is not None or any(text in head for text in self._swapped))

    def swap(self, name: str, value: str) -> str | None:
        """The header value with placeholders swapped, or ``None`` if it holds none that is swapped here."""
        pair = placeholder.decode_basic(value) if name == "authorization" else None
        place, text = ("header", value) if pair is None else ("basic", pair)
        swapped = text
        for stand_in, (secret, places) in self._swapped.items():
            if place in places and stand_in in swapped:
                swapped = swapped.replace(stand_in, header_text(self._values[secret]))
        if swapped == text:
            return None
        return swapped if pair is None else placeholder.encode_basic(swapped)


def _signer(injection: Injection) -> Signer:
    if injection.form == "sigv4":
        from outward.credentials.forms.sigv4 import SigV4  # here: only who uses AWS needs botocore

        return SigV4(injection)
    from outward.credentials.forms.oauth1 import OAuth1  # here: likewise

    return OAuth1(injection)


def _quoted(value: bytes) -> bytes:
    return quote(value, safe="").encode("ascii")


def _in_json(value: bytes) -> bytes:
    return json.dumps(value.decode("utf-8", "replace"))[1:-1].encode("ascii")


def _places(injections: Sequence[Injection]) -> dict[str, frozenset[str]]:
    """By secret, where its placeholder is swapped."""
    places: dict[str, frozenset[str]] = {}
    for injection in injections:
        if injection.form == "placeholder":
            (name,) = injection.secrets
            places[name] = places.get(name, frozenset()) | injection.places
    return places
