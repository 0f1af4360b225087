"""What the policy knows has an address. Nothing else is told, and nobody is asked."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from outward.audit import Batch
from outward.core import Action, Code, Destination, JournalUnavailable, Rule
from outward.core.summary import Summary
from outward.credentials import CredentialStore
from outward.gateway.dns import Addresses, Resolver
from outward.gateway.dns.message import AAAA, A
from outward.gateway.dns.resolver import BURST, PER_SECOND
from outward.gateway.ledger import Ledger
from outward.gateway.ruleset import Ruleset
from outward.gateway.turn import Turn
from outward.policy import Policy
from outward.policy.model import SecretSpec
from tests.unit.gateway.dns.test_message import header, question

if TYPE_CHECKING:
    from outward.core import Event
    from outward.gateway.gateway import Gateway

PLACEHOLDER = "sk-ant-Test.Placeholder_0123456789abcdef"
RULE = Rule("r", Action.ALLOW, frozenset({"GET"}), "/**")


def destination(host: str, port: int = 443, **more: Any) -> Destination:
    return Destination(host, host, port, "https", (RULE,), **more)


POLICY = Policy(
    secrets={"key": SecretSpec("key", "env", "KEY", placeholder=PLACEHOLDER)},
    destinations=(
        destination("api.test"),
        destination("ssh.test", port=2222),
        destination("*.wild.test"),
        destination("hers.test", agents=frozenset({"her"})),
    ),
)


@dataclass
class Ground:
    """As much of a gateway as questions need."""

    events: list[Event] = field(default_factory=list)
    broken: bool = False
    full: bool = False

    def __post_init__(self) -> None:
        self.now = 100.0
        self.turn = Turn(self, soon=lambda end: None)
        self.summary = Summary()
        self.ledger = Ledger(self, self.turn, self.summary, "")
        self.ruleset = Ruleset(POLICY, CredentialStore(POLICY.secrets, environment={"KEY": "x"}))

    def clock(self) -> float:
        return self.now

    def stage(self, event: Event) -> Batch:
        if self.broken:
            raise JournalUnavailable("no")
        self.events.append(event)
        return Batch()

    def commit(self) -> None:
        if self.full:
            raise JournalUnavailable("no space left")


@pytest.fixture
def ground() -> Ground:
    return Ground()


def ask(ground: Ground, name: str, kind: int = A, *, ipv6: bool = True, agent: str = "me") -> tuple[int, bytes]:
    """The outcome, and the address where there is one."""
    answer = Resolver(agent, Addresses(ipv6=ipv6)).answer(cast("Gateway", ground), question(name, kind))
    size = {A: 4, AAAA: 16}.get(kind, 0)
    return header(answer)[1] & 15, answer[-size:] if header(answer)[3] else b""


@pytest.mark.parametrize("name", ["api.test", "API.test", "api.test.", "ssh.test", "x.wild.test", "a.b.wild.test"])
def test_names_that_the_policy_knows_have_an_address(ground, name):
    assert ask(ground, name) == (0, bytes((198, 18, 0, 1)))
    assert ask(ground, name, AAAA) == (0, bytes.fromhex("fd6f75747764000000000000000000 01"))
    (event, _) = ground.events
    assert (event.kind, event.method, event.host, event.verdict) == ("dns", "DNS", name.lower().rstrip("."), "allow")
    assert event.address == "198.18.0.1"
    assert not ground.summary.requests


@pytest.mark.parametrize(
    "name", ["evil.test", "wild.test", "api.test.evil.test", "apitest", "hers.test", "203.0.113.5"]
)
@pytest.mark.parametrize("kind", [A, AAAA, 16])
def test_no_other_name_exists(ground, name, kind):
    assert ask(ground, name, kind) == (3, b"")
    assert ground.events[0].code == Code.HOST_NOT_ALLOWED
    (refusal,) = ground.summary.refused
    assert (refusal.method, refusal.host) == ("DNS" if kind != 16 else "DNS TXT", name)
    assert refusal.authority == name
    assert refusal.allow_command == (f"outward policy allow 'GET,HEAD {name}/**'" if kind != 16 else "")


def test_whose_name_it_is(ground):
    assert ask(ground, "hers.test", agent="her")[0] == 0


@pytest.mark.parametrize("kind", [2, 5, 15, 16, 33, 64, 65, 255])
def test_names_have_nothing_but_addresses(ground, kind):
    """No HTTPS records either: they are how clients find out about QUIC and Encrypted ClientHello."""
    assert ask(ground, "api.test", kind) == (0, b"")


def test_where_there_is_no_ipv6_names_have_no_address_of_it(ground):
    assert ask(ground, "api.test", AAAA, ipv6=False) == (0, b"")


@pytest.mark.parametrize("name", ["localhost", "app.localhost", "LOCALHOST."])
def test_localhost_is_the_sandbox_itself(ground, name):
    assert ask(ground, name) == (0, bytes((127, 0, 0, 1)))
    assert ask(ground, name, AAAA) == (0, bytes(15) + b"\x01")


@pytest.mark.parametrize("name", ["a b.test", "a\0.api.test", "x" * 62 + "!.test", ""])
def test_names_that_are_none(ground, name):
    assert ask(ground, name)[0] == 3
    assert ground.events[0].code == Code.MALFORMED_REQUEST


def test_what_cannot_be_read_is_in_the_journal(ground):
    resolver = Resolver("me", Addresses(ipv6=True))
    assert header(resolver.answer(cast("Gateway", ground), question(rest=b"x")))[1] & 15 == 1
    assert resolver.answer(cast("Gateway", ground), question(flags=0x8000)) == b""
    assert [event.error for event in ground.events] == ["octets after the question", "an answer, not a question"]


@pytest.mark.parametrize(
    "name",
    [
        "sk-ant-test.placeholder_0123456789abcdef.wild.test",
        "SK-ANT-TEST.PLACEHOLDER_0123456789ABCDEF.evil.test",
        "x.sk-ant-testplace.holder0123.456789abcdef.wild.test",
        "skanttestplaceholder0123456789abcdef",
        "sk-ant-test.placeholder_0123456789abcdef.%.test",
    ],
)
def test_a_placeholder_in_a_name_is_reported(ground, name):
    """Whether it is cut into labels, loses its case, or stands before a name that is allowed."""
    assert ask(ground, name) == (3, b"")
    (event,) = ground.events
    assert (event.code, event.secrets) == (Code.PLACEHOLDER_LEAK, ("key",))


def test_half_a_placeholder_is_none(ground):
    assert ground.ruleset.leaked("sk-ant-test.placeholder_01234.wild.test") is None


def test_without_a_journal_there_is_no_answer(ground):
    ground.broken = True
    resolver = Resolver("me", Addresses(ipv6=True))
    assert resolver.answer(cast("Gateway", ground), question("api.test")) == b""
    assert resolver.answer(cast("Gateway", ground), struct.pack("!6H", 1, 0, 0, 0, 0, 0)) == b""


def test_who_asks_without_end_fills_no_journal(ground):
    resolver = Resolver("me", Addresses(ipv6=True))

    def outcomes(count: int) -> list[int]:
        answers = [resolver.answer(cast("Gateway", ground), question("evil.test")) for _ in range(count)]
        return [header(answer)[1] & 15 for answer in answers]

    assert outcomes(BURST + 500) == [3] * BURST + [5] * 500
    assert len(ground.events) == BURST + 1
    assert ground.events[-1].code == Code.BUDGET_EXCEEDED
    assert resolver.answer(cast("Gateway", ground), question(flags=0x8000)) == b""
    assert resolver.answer(cast("Gateway", ground), b"") == b""
    ground.now += 1
    assert outcomes(300) == [3] * int(PER_SECOND) + [5] * 100
    assert len(ground.events) == BURST + 1 + PER_SECOND + 1
