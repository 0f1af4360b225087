"""A verdict in words, for ``check``: names and forms of credentials, never their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from outward.core import Action, Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from outward.core import Destination, Injection, Request, Verdict


_REASON: Final = {
    # Why, for each code that a policy can give.
    Code.HOST_NOT_ALLOWED: "the host is not in the policy",
    Code.PORT_NOT_ALLOWED: "the host is in the policy, but not with this port and scheme",
    Code.METHOD_NOT_ALLOWED: "the path is allowed, but not with this method",
    Code.PATH_NOT_ALLOWED: "no rule covers it",
    Code.DENIED_BY_RULE: "a rule denies it",
    Code.APPROVAL_DENIED: "a person must approve it",
    Code.MALFORMED_REQUEST: "it cannot be read in exactly one way",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is decided and why. ``injects`` and ``removes`` say what becomes of the headers of an allowed request,
    ``captures`` which fields of its answer stay outside."""

    action: Action
    code: Code | None
    rule: str
    destination: str
    injects: tuple[str, ...]
    removes: tuple[str, ...]
    captures: tuple[str, ...]
    hint: str

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        by = f" by {self.rule!r}" if self.rule else ""
        why = f": {_REASON[self.code]}" if self.code is not None else ""
        return f"{self.action}{by}{why}"

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "verdict": str(self.action),
            "code": str(self.code) if self.code is not None else None,
            "rule": self.rule or None,
            "destination": self.destination or None,
            "injects": list(self.injects),
            "removes": list(self.removes),
            "captures": list(self.captures),
            "hint": self.hint or None,
        }


def explain(verdict: Verdict, request: Request | None, client_credentials: AbstractSet[str]) -> Explanation:
    """Explains a verdict. ``client_credentials`` are the headers that are removed wherever a policy does not say else."""
    destination = verdict.destination
    opaque = destination is None or destination.tls == "passthrough"
    return Explanation(
        verdict.action,
        verdict.code,
        verdict.rule,
        destination.name if destination is not None else "",
        tuple(map(_form, destination.inject)) if destination is not None else (),
        () if destination is None or opaque else _removed(destination, client_credentials),
        tuple(f"{field} as {{{name}}}" for field, name in verdict.capture),
        _allow_command(request, verdict) if request is not None else "",
    )


def _form(injection: Injection) -> str:
    if injection.form == "header":
        return f"header {injection.name}: {injection.template}"
    if injection.signs:
        settings = ", ".join(f"{key}: {value}" for key, value in injection.settings)
        return f"signature by {injection.form} ({settings})"
    (secret,) = injection.secrets
    if injection.form == "basic":
        return f"basic authentication as {injection.username!r} with {{{secret}}}"
    if injection.form in {"query", "cookie"}:
        return f"{injection.form} {injection.name}={{{secret}}}"
    return f"placeholder of {{{secret}}} in {' and '.join(sorted(injection.places))}"


def _removed(destination: Destination, client_credentials: AbstractSet[str]) -> tuple[str, ...]:
    sets = {injection.sets for injection in destination.inject if injection.sets is not None}
    stripped = client_credentials if destination.client_credentials == "strip" else frozenset[str]()
    return tuple(sorted(stripped | sets))


def _allow_command(request: Request, verdict: Verdict) -> str:
    return Refusal(
        verdict.code or "", request.method, request.scheme, request.host, request.port, request.path
    ).allow_command
