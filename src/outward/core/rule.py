"""What a policy is made of once it has been read: destinations, their rules, their injections."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from outward.core.proxy import Proxy


class Action(StrEnum):
    """What a rule says. ``deny`` beats ``ask`` beats ``allow``, whatever the order in the file."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Rule(NamedTuple):
    """One rule line.

    ``methods`` is ``None`` for any method. ``path`` is a glob over the canonical path; ``None`` only in ``allow: connect``
    of a passthrough destination. ``query`` and ``headers`` are exact values that must all be present. ``name`` reads
    ``api.github.com deny[0]``. ``capture`` names fields of the answer, each with the secret that its value becomes.
    """

    name: str
    action: Action
    methods: frozenset[str] | None
    path: str | None
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    capture: tuple[tuple[str, str], ...] = ()


class Injection(NamedTuple):
    """How one credential is put into an allowed request.

    ============== ========================================================================================
    form           fields
    ============== ========================================================================================
    ``header``     ``name`` (lower-case), ``template`` with ``{secret}`` fields (``{github}`` alone when the
                   file said ``secret: github``)
    ``basic``      ``username``, one secret
    ``query``      ``name`` of a parameter, one secret
    ``cookie``     ``name`` of a cookie, one secret
    ``placeholder`` one secret, ``places`` in which its placeholder is swapped
    ``sigv4``      ``settings``: ``access_key``, ``secret_key``, ``session_token`` name secrets; ``service``, ``region``
    ``oauth1``     ``settings``: ``consumer_key``, ``consumer_secret``, ``token``, ``token_secret`` name secrets; ``method``
    ============== ========================================================================================

    ``secrets`` names every secret that the form needs.
    """

    form: Literal["header", "basic", "query", "cookie", "placeholder", "sigv4", "oauth1"]
    secrets: tuple[str, ...]
    name: str = ""
    template: str = ""
    username: str = ""
    places: frozenset[str] = frozenset()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def signs(self) -> bool:
        """Whether it signs the request as a whole, after all others have had their say."""
        return self.form in {"sigv4", "oauth1"}

    @property
    def sets(self) -> str | None:
        """The lower-case name of the header that is written, if it is one. The client's own does not go out."""
        match self.form:
            case "header":
                return self.name
            case "basic" | "sigv4" | "oauth1":
                return "authorization"
            case "cookie":
                return "cookie"
        return None


class Destination(NamedTuple):
    """A host, what may be asked of it, and which credential goes there. Compared by identity.

    ``host`` is canonical, ``*.suffix`` (one or more labels, never the suffix itself) or ``*``. ``connect_to`` is dialled
    instead of the resolved name. ``proxy`` is somebody else's that the way leads through, ``"none"`` where it must not, and
    ``None`` where the caller's environment decides. ``ca`` is the PEM text of an additional root. ``agents`` is ``None`` for
    all agents; an empty set matches none. ``client_certificate`` is a PEM text, and the name of the secret that is its key.
    ``body_canaries`` is what becomes of a request in whose body a placeholder stands that does not belong there.
    """

    name: str
    host: str
    port: int
    scheme: Literal["https", "http"]
    rules: tuple[Rule, ...]
    inject: tuple[Injection, ...] = ()
    tls: Literal["intercept", "passthrough"] = "intercept"
    connect_to: tuple[str, int] | None = None
    proxy: Proxy | Literal["none"] | None = None
    ca: str | None = None
    client_certificate: tuple[str, str] | None = None
    allow_private: bool = False
    client_credentials: Literal["strip", "pass"] = "strip"
    redact: bool = True
    body_canaries: Literal["deny", "record"] = "deny"
    agents: frozenset[str] | None = None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)
