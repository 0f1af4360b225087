"""The answer to a request, and the codes of a refusal."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from outward.core.rule import Action

if TYPE_CHECKING:
    from outward.core.rule import Destination


class Code(StrEnum):
    """Why a request was refused; part of the contract with clients."""

    HOST_NOT_ALLOWED = "host_not_allowed"
    PORT_NOT_ALLOWED = "port_not_allowed"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PATH_NOT_ALLOWED = "path_not_allowed"
    DENIED_BY_RULE = "denied_by_rule"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    PROXY_AUTHENTICATION_REQUIRED = "proxy_authentication_required"
    HOST_MISMATCH = "host_mismatch"
    MALFORMED_REQUEST = "malformed_request"
    PLACEHOLDER_LEAK = "placeholder_leak"
    SECRET_UNAVAILABLE = "secret_unavailable"  # noqa: S105 (a code, not a secret)
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_TIMEOUT = "approval_timeout"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_TLS = "upstream_tls"
    BUDGET_EXCEEDED = "budget_exceeded"


STATUS_OF_CODE: Final[dict[Code, int]] = {
    # Only the status that a client sees for each code may live here. What is not listed is 403.
    Code.PROXY_AUTHENTICATION_REQUIRED: 407,
    Code.HOST_MISMATCH: 421,
    Code.MALFORMED_REQUEST: 400,
    Code.SECRET_UNAVAILABLE: 503,
    Code.JOURNAL_UNAVAILABLE: 503,
    Code.UPSTREAM_UNREACHABLE: 502,
    Code.UPSTREAM_TIMEOUT: 504,
    Code.UPSTREAM_TLS: 502,
}


UPSTREAM_TROUBLE: Final = frozenset({Code.UPSTREAM_UNREACHABLE, Code.UPSTREAM_TIMEOUT, Code.UPSTREAM_TLS})
"""Codes of requests that the policy allowed and the way to the server failed: no verdict, and no rule would help."""


class Verdict:
    """What ``decide`` answers. Made once per rule when the policy is compiled, then shared.

    ``rule`` is the name of the rule that decided, empty when nothing matched. ``destination`` is the one whose rule
    allowed (or would ask for) the request; its injections, and no other's, apply. ``code`` is ``None`` on allow.
    ``capture`` is the rule's. ``allowed`` tells whether the request may be forwarded.
    """

    __slots__ = ("action", "allowed", "capture", "code", "destination", "rule")

    def __init__(
        self,
        action: Action,
        rule: str = "",
        code: Code | None = None,
        destination: Destination | None = None,
        capture: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.action: Final = action
        self.capture: Final = capture
        self.rule: Final = rule
        self.code: Final = code
        self.destination: Final = destination
        self.allowed: Final = action is Action.ALLOW
