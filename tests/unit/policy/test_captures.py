"""What log-ins bring: who may name it, and that no rule leads around a capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.policy.conftest import make_policy, make_request, problems_of

if TYPE_CHECKING:
    from outward.policy import Policy

HEAD = """
version: 1
secrets: {a: {captured: true}, r: {captured: true}, e: {env: E}}
"""
LOGIN = "{methods: [POST], path: /oauth/token, capture: {access_token: a, refresh_token: r}}"


def text(*rules: str, more: str = "") -> str:
    return f"{HEAD}destinations:\n  - host: login.test\n    allow: [{', '.join(rules)}]\n{more}"


def decided(policy: Policy, line: str) -> tuple[tuple[str, str], ...]:
    verdict = policy.decide(make_request(line))
    assert verdict.allowed
    return verdict.capture


def test_the_verdict_says_what_is_captured():
    policy = make_policy(text(LOGIN, "GET /**", "POST /other"))
    assert decided(policy, "POST https://login.test/oauth/token") == (("access_token", "a"), ("refresh_token", "r"))
    assert decided(policy, "POST https://login.test/other") == ()


ELSEWHERE = '  - {host: "*.test", allow: [POST /**]}\n'
AROUND = {
    "a wider path": text(LOGIN, '"POST /**"'),
    "any method": text(LOGIN, '"* /oauth/*"'),
    "another spelling, as careless servers read it": text(LOGIN, "POST /OAuth/Token"),
    "an encoded one": text(LOGIN, "POST /oauth%2Ftoken"),
    "a wildcard": text(LOGIN, more=ELSEWHERE),
    "another secret": text(LOGIN, "{methods: [POST], path: /oauth/**, capture: {access_token: r}}"),
    "asking": text(LOGIN, more='    ask: ["POST /oauth/**"]\n'),
    "a demand of its own": text(LOGIN, "{methods: [POST], path: /oauth/token, query: {x: y}}"),
}


@pytest.mark.parametrize("policy", AROUND.values(), ids=AROUND)
def test_no_rule_leads_around_a_capture(policy):
    assert any("captures answers to requests that" in problem.message for problem in problems_of(policy))


BESIDE = {
    "another method": text(LOGIN, '"GET /oauth/**"'),
    "another path": text(LOGIN, "POST /oauth/revoke"),
    "a deny": text(LOGIN, more='    deny: ["POST /**"]\n'),
    "the same": text(LOGIN, "{methods: [POST], path: /oauth/*, capture: {access_token: a, refresh_token: r}}"),
    "demands that exclude each other": text(
        LOGIN.replace("path: /oauth/token", "path: /oauth/token, query: {x: z}"),
        "{methods: [POST], path: /oauth/token, query: {x: y}}",
    ),
    "another agent": text(LOGIN, more="    agents: [one]\n  - {host: login.test, agents: [two], allow: [POST /**]}\n"),
}


@pytest.mark.parametrize("policy", BESIDE.values(), ids=BESIDE)
def test_what_covers_no_request_of_it_stands_beside(policy):
    make_policy(policy)


WRONG = {
    "a secret with a source": (text(LOGIN.replace("access_token: a", "access_token: e")), "has a source of its own"),
    "no secret": (text(LOGIN.replace("access_token: a", "access_token: x")), "there is no secret"),
    "no secret, where no registry is found": (
        f"{HEAD}destinations:\n  - {{registry: npm, allow: [{LOGIN.replace('access_token: a', 'access_token: x')}]}}\n",
        "there is no secret",
    ),
    "a deny that captures": (text(more=f"    deny: [{LOGIN}]\n"), "nothing is captured from what is denied"),
    "an agent's own password": (text(LOGIN, more="agents: {x: {secret: a}}\n"), "for each agent another"),
    "what another source needs": (
        text(LOGIN).replace("e: {env: E}", "e: {oauth: {token_url: https://x.test, client_id: c, client_secret: a}}"),
        "for each agent another",
    ),
    "a lifetime": (text(LOGIN).replace("a: {captured: true}", "a: {captured: true, ttl: 5m}"), "'ttl' is not for"),
    "a variable": (text(LOGIN).replace("a: {captured: true}", "a: {captured: true, expose: A}"), "'expose' is not for"),
    "a false one": (text(LOGIN).replace("a: {captured: true}", "a: {captured: false}"), "this must be true"),
    "a passthrough": (
        f"{HEAD}destinations:\n  - {{host: x.test, tls: passthrough, allow: [{LOGIN}]}}\n",
        "a passthrough has no requests",
    ),
}


@pytest.mark.parametrize(("policy", "why"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_captured(policy, why):
    assert any(why in problem.message for problem in problems_of(policy))
