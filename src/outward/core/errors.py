"""Few errors, named by who is to blame; each carries the way out.

They are translated once, at the boundary: ``cli`` turns them into a message and an exit status, ``gateway`` into a
typed refusal. Nobody else catches them to carry on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class OutwardError(Exception):
    """Something went wrong that a person can act on.

    ``message`` says what was found, ``hint`` the way out. Neither ever holds a secret's value.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Problem(NamedTuple):
    """One mistake in a policy file.

    ``line`` and ``column`` count from 1; ``path`` is the field's path (``destinations[0].allow[1]``); ``found`` is what
    stands there and ``accepted`` what would be taken instead, with the nearest known key where there is one.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    found: str = ""
    accepted: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        parts = [where, f"{self.path}: " if self.path else "", self.message]
        if self.found:
            parts.append(f" (found {self.found})")
        if self.accepted:
            parts.append(f"; accepted: {self.accepted}")
        return "".join(parts)


class PolicyError(OutwardError):
    """The policy file is to blame. Carries every problem of the file at once."""

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        super().__init__("\n".join(map(str, problems)), hint=hint)
        self.problems = tuple(problems)


class ClientError(OutwardError):
    """The program behind the gateway is to blame: what it sent cannot be read in exactly one way."""


class HostMismatch(ClientError):
    """CONNECT target, SNI and Host do not agree."""


class UpstreamError(OutwardError):
    """The server, or the way to it, is to blame."""


class HostError(OutwardError):
    """This machine is to blame: a tool, a kernel feature or a permission is missing."""


class SecretUnavailable(OutwardError):
    """A secret could not be fetched; requests that need it fail closed.

    ``name`` is the secret's name, ``reason`` the message without it.
    """

    def __init__(self, name: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"secret {name!r}: {reason}", hint=hint)
        self.name = name
        self.reason = reason


class JournalUnavailable(OutwardError):
    """The journal cannot be written, so nothing may be forwarded."""
