"""Refusals: what a person, a program and a model can act on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from outward.core import (
    STATUS_OF_CODE,
    ClientError,
    Code,
    HostMismatch,
    JournalUnavailable,
    OutwardError,
    Refusal,
    SecretUnavailable,
    UpstreamError,
)

if TYPE_CHECKING:
    from outward.core import Request, Verdict

_REASON: Final = {
    # The reason phrase of each status that we answer ourselves; clients of HTTP/1.1 expect one.
    400: "Bad Request",
    403: "Forbidden",
    407: "Proxy Authentication Required",
    421: "Misdirected Request",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_MESSAGE: Final = {
    # What the message says about each code, after "METHOD host/path". What is not listed speaks for itself in `detail`.
    Code.HOST_NOT_ALLOWED: "is not allowed by the policy: the host is not in it.",
    Code.PORT_NOT_ALLOWED: "is not allowed by the policy: the host is in it, but not with this port.",
    Code.METHOD_NOT_ALLOWED: "is not allowed by the policy: the path is, but not with this method.",
    Code.PATH_NOT_ALLOWED: "is not allowed by the policy.",
    Code.DENIED_BY_RULE: "is denied by a rule of the policy.",
    Code.ADDRESS_NOT_ALLOWED: "leads to an address that is not public.",
    Code.PROXY_AUTHENTICATION_REQUIRED: "needs proxy credentials.",
    Code.HOST_MISMATCH: "was sent over a connection to another host.",
    Code.MALFORMED_REQUEST: "cannot be read in exactly one way.",
    Code.PLACEHOLDER_LEAK: "carries a placeholder that does not belong there.",
    Code.SECRET_UNAVAILABLE: "needs a secret that is not available.",
    Code.JOURNAL_UNAVAILABLE: "cannot be recorded, so it is not forwarded.",
    Code.APPROVAL_DENIED: "needs an approval that was not given.",
    Code.UPSTREAM_UNREACHABLE: "could not be delivered: the server is not reachable.",
    Code.UPSTREAM_TIMEOUT: "got no answer in time.",
    Code.UPSTREAM_TLS: "could not be delivered: the server's certificate or TLS is not acceptable.",
}


@dataclass(frozen=True)
class Denial:
    """A refusal. ``detail`` adds what was found; ``hint`` is the way out where it is not a policy command."""

    code: Code
    method: str = ""
    scheme: str = "https"
    host: str = ""
    port: int = 443
    path: str = ""
    rule: str = ""
    detail: str = ""
    hint: str = ""

    @classmethod
    def of(cls, request: Request, verdict: Verdict | None, code: Code, detail: str, hint: str) -> Self:
        """The refusal of ``request``, as far as it is known, and of what has been decided about it."""
        rule = verdict.rule if verdict is not None else ""
        return cls(code, request.method, request.scheme, request.host, request.port, request.path, rule, detail, hint)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS_OF_CODE.get(self.code, 403)

    @cached_property
    def body(self) -> bytes:
        """The JSON document."""
        refusal = Refusal(self.code, self.method, self.scheme, self.host, self.port, self.path)
        what = f"{self.method} {refusal.authority}{self.path}".strip()
        message = f"{what} {_MESSAGE.get(self.code, 'is refused.')}".strip()
        error = {
            "type": "outward_denied",
            "code": str(self.code),
            "message": f"{message} ({self.detail})" if self.detail else message,
            "method": self.method,
            "host": self.host,
            "path": self.path,
        }
        if self.rule:
            error["rule"] = self.rule
        command = refusal.allow_command
        hint = self.hint or (f"Ask the person running you to allow it: {command}" if command else "")
        if hint:
            error["hint"] = hint
        return json.dumps({"error": error}).encode() + b"\n"

    @property
    def lines(self) -> list[str]:
        """The header fields of the answer, whichever version of HTTP it is written in."""
        lines = ["content-type: application/json", "x-outward-verdict: deny", f"content-length: {len(self.body)}"]
        if self.status == 407:
            lines.append('proxy-authenticate: Basic realm="outward"')
        return lines

    def response(self, *, head_only: bool = False, close: bool = False) -> bytes:
        """The whole HTTP/1.1 answer; without body where the request was HEAD."""
        closing = ["connection: close"] if close else []
        lines = [f"HTTP/1.1 {self.status} {_REASON[self.status]}", *self.lines, *closing, "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        return head if head_only else head + self.body


class Refused(OutwardError):
    """The answer is no; ``code`` is what the client is told."""

    def __init__(self, code: Code, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code: Final = code


class DialError(Refused):
    """A destination that could not be dialled."""


_CODE_OF_ERROR: Final[tuple[tuple[type[OutwardError], Code], ...]] = (
    # From the most to the least specific; errors that carry a code of their own do not stand here.
    (HostMismatch, Code.HOST_MISMATCH),
    (ClientError, Code.MALFORMED_REQUEST),
    (SecretUnavailable, Code.SECRET_UNAVAILABLE),
    (JournalUnavailable, Code.JOURNAL_UNAVAILABLE),
    (UpstreamError, Code.UPSTREAM_UNREACHABLE),
)


def code_of(error: OutwardError) -> Code:
    """What a client is told about ``error``. An error that is nobody's business but ours is raised again."""
    if isinstance(error, Refused):
        return error.code
    for kind, code in _CODE_OF_ERROR:
        if isinstance(error, kind):
            return code
    raise error
