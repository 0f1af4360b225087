"""What a question is answered with."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from outward.core import ClientError, Code, Event, JournalUnavailable, canonical_host
from outward.core.canonical import is_address
from outward.gateway.dns.message import AAAA, A, Outcome, Question, Unreadable, parse_question, refusal

if TYPE_CHECKING:
    from outward.gateway.dns.addresses import Addresses
    from outward.gateway.gateway import Gateway
    from outward.policy import Policy

BURST: Final = 2000
PER_SECOND: Final = 200.0
"""Questions that are answered. Each is a record, and whoever asks without end must not push older ones out of the journal."""

_LOOPBACK: Final[dict[int, IPv4Address | IPv6Address]] = {A: IPv4Address("127.0.0.1"), AAAA: IPv6Address("::1")}


class Resolver:
    """Answers the questions of one agent. Each is in the journal; whoever sends an answer writes that first."""

    def __init__(self, agent: str, addresses: Addresses) -> None:
        self._agent: Final = agent
        self._addresses: Final = addresses
        self._left = float(BURST)
        self._since = 0.0
        self._refusing = False

    def answer(self, gateway: Gateway, data: bytes) -> bytes:
        """The answer to a message; nothing where none must be given."""
        try:
            if self._too_many(gateway):
                return refusal(data)
            try:
                question = parse_question(data)
            except Unreadable as error:
                self._record(gateway, "DNS", Code.MALFORMED_REQUEST, error=error.reason)
                return error.answer
            return self._answer(gateway, question)
        except JournalUnavailable as error:
            gateway.turn.complain(error)
            return b""  # who gets no answer asks again

    def _too_many(self, gateway: Gateway) -> bool:
        """Whether this one is over the limit; of a row of those the first is recorded. Raises :class:`JournalUnavailable`."""
        now = gateway.clock()
        self._left = min(self._left + (now - self._since) * PER_SECOND, BURST)
        self._since = now
        if self._left >= 1:
            self._left -= 1
            self._refusing = False
        elif not self._refusing:
            self._record(gateway, "DNS", Code.BUDGET_EXCEEDED, error=f"more than {PER_SECOND:.0f} questions a second")
            self._refusing = True
        return self._refusing

    def _answer(self, gateway: Gateway, question: Question) -> bytes:
        # Both kinds of address are one question for a person: may this name be reached?
        what = "DNS" if question.kind in _LOOPBACK else f"DNS {question.kind_name}"
        policy = gateway.ruleset.policy
        secret = gateway.ruleset.leaked(question.name)
        if secret is not None:
            said = f"the placeholder of secret {secret!r}"
            self._record(gateway, what, Code.PLACEHOLDER_LEAK, secret=secret, host=question.name.lower(), error=said)
            return question.answer(Outcome.NO_SUCH_NAME)
        try:
            name = canonical_host(question.name)
        except ClientError as error:
            self._record(gateway, what, Code.MALFORMED_REQUEST, error=error.message)
            return question.answer(Outcome.NO_SUCH_NAME)
        if not self._known(policy, name):
            self._record(gateway, what, Code.HOST_NOT_ALLOWED, host=name)
            return question.answer(Outcome.NO_SUCH_NAME)
        address = self._address(name, question.kind)
        self._record(gateway, what, None, host=name, address=None if address is None else str(address))
        return question.answer(Outcome.FOUND, None if address is None else address.packed)

    def _known(self, policy: Policy, name: str) -> bool:
        return is_local(name) or (not is_address(name) and policy.knows_host(self._agent, name))

    def _address(self, name: str, kind: int) -> IPv4Address | IPv6Address | None:
        if is_local(name):
            return _LOOPBACK.get(kind)
        if kind == A:
            return self._addresses.ipv4_of(name)
        if kind == AAAA and self._addresses.ipv6:
            return self._addresses.ipv6_of(name)
        return None

    def _record(
        self,
        gateway: Gateway,
        what: str,
        code: Code | None,
        *,
        host: str | None = None,
        address: str | None = None,
        secret: str | None = None,
        error: str | None = None,
    ) -> None:
        """Raises :class:`JournalUnavailable`."""
        mask = gateway.ruleset.store.mask
        gateway.ledger.asked(
            Event(
                "end",
                gateway.ledger.next_id(),
                "dns",
                self._agent,
                method=what,
                host=None if host is None else mask(host),
                verdict="allow" if code is None else "deny",
                code=code,
                secrets=() if secret is None else (secret,),
                address=address,
                error=None if error is None else mask(error),
            )
        )


def is_local(name: str) -> bool:
    """Whether a name is the asker's own machine by definition (RFC 6761 §6.3)."""
    return name == "localhost" or name.endswith(".localhost")
