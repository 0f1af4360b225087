"""The decision: examples from the contract, attacks, and laws that hold for every policy and every request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import Action, Code, Destination, Injection, Request, Rule, fold_path
from outward.policy import Policy
from tests.support.changed import changed
from tests.unit.policy import reference
from tests.unit.policy.conftest import make_policy, make_request, one_host

if TYPE_CHECKING:
    import random

    from outward.core import Verdict

EXAMPLE = """
version: 1
secrets: {github: {env: GITHUB_TOKEN}}
destinations:
  - host: api.github.com
    allow: ["GET,HEAD /repos/acme/**", POST /repos/acme/web/pulls]
    ask: ["PUT /repos/acme/web/pulls/*/merge"]
    deny: ["* /gists/**", "* /gists", "* /repos/acme/secret/**"]
    inject: [{header: authorization, value: "Bearer {github}"}]
  - {host: "*.corp.example", tls: passthrough, allow: connect}
  - {host: plain.example, scheme: http, allow: ["GET /**"]}
  - {host: alt.example, port: 8443, allow: ["* /**"]}
  - {host: ci.example, agents: [ci], allow: ["GET /**"]}
  - {host: nobody.example, agents: [], allow: ["GET /**"]}
"""

VERDICTS = [
    ("GET https://api.github.com/repos/acme/web", "allow", None, "api.github.com allow[0]"),
    ("HEAD https://api.github.com/repos/acme", "allow", None, "api.github.com allow[0]"),
    ("POST https://api.github.com/repos/acme/web/pulls", "allow", None, "api.github.com allow[1]"),
    ("PUT https://api.github.com/repos/acme/web/pulls/7/merge", "ask", "approval_denied", "api.github.com ask[0]"),
    ("POST https://api.github.com/gists", "deny", "denied_by_rule", "api.github.com deny[0]"),
    ("GET https://api.github.com/repos/acme/secret/x", "deny", "denied_by_rule", "api.github.com deny[2]"),
    ("DELETE https://api.github.com/repos/acme/web", "deny", "method_not_allowed", ""),
    ("GET https://api.github.com/user", "deny", "path_not_allowed", ""),
    ("GET https://api.github.com:8443/repos/acme", "deny", "port_not_allowed", ""),
    ("GET http://api.github.com/repos/acme", "deny", "port_not_allowed", ""),
    ("GET https://github.com/repos/acme", "deny", "host_not_allowed", ""),
    ("GET https://evilapi.github.com/repos/acme", "deny", "host_not_allowed", ""),
    ("GET https://a.b.corp.example/x", "allow", None, "*.corp.example allow[0]"),
    ("GET https://corp.example/x", "deny", "host_not_allowed", ""),
    ("GET https://evilcorp.example/x", "deny", "host_not_allowed", ""),
    ("GET http://plain.example/x", "allow", None, "plain.example allow[0]"),
    ("GET https://plain.example/x", "deny", "port_not_allowed", ""),
    ("GET https://alt.example:8443/x", "allow", None, "alt.example allow[0]"),
    ("GET https://alt.example/x", "deny", "port_not_allowed", ""),
    ("GET https://ci.example/", "deny", "host_not_allowed", ""),
    ("GET https://nobody.example/", "deny", "host_not_allowed", ""),
]


@pytest.mark.parametrize(("line", "action", "code", "rule"), VERDICTS)
def test_verdicts(line, action, code, rule):
    verdict = make_policy(EXAMPLE).decide(make_request(line))
    assert (verdict.action, verdict.code, verdict.rule) == (action, code, rule)


def test_a_destination_may_be_for_some_agents_only():
    policy = make_policy(EXAMPLE)
    assert policy.decide(make_request("GET https://ci.example/", agent="ci")).allowed
    assert not policy.decide(make_request("GET https://ci.example/", agent="ci2")).allowed
    assert not policy.decide(make_request("GET https://nobody.example/", agent="")).allowed


def test_the_destination_of_the_verdict_is_the_one_whose_credentials_apply():
    verdict = make_policy(EXAMPLE).decide(make_request("GET https://api.github.com/repos/acme"))
    assert verdict.destination is not None
    assert verdict.destination.inject[0].secrets == ("github",)
    denied = make_policy(EXAMPLE).decide(make_request("POST https://api.github.com/gists"))
    assert denied.destination is None


ATTACKS_ON_A_DENY = [
    "/admin",
    "/ADMIN",
    "/%61dmin",
    "/x/../admin",
    "//admin",
    "/./admin",
    "/admin;v=1",
    "/admin%3Bv=1",
    "/%2Fadmin",
    "/%5Cadmin",
    "/%2561dmin",
    "/admin/deep/er",
    "/admin%2Fdeep",
    "/ADMIN%2Fdeep;v=1",
]


@pytest.mark.parametrize("path", ATTACKS_ON_A_DENY)
def test_no_spelling_gets_past_a_deny(path):
    line = f"GET https://a.example{path}"
    assert one_host(allow=["* /**"]).decide(make_request(line)).allowed, "without the deny it gets through"
    assert one_host(allow=["* /**"], deny=["* /admin/**"]).decide(make_request(line)).code is Code.DENIED_BY_RULE


@pytest.mark.parametrize("path", ["/p/x%2Fy", "/p/x", "/P/x%5Cy", "/p/%2F"])
def test_a_star_in_a_deny_covers_an_encoded_slash(path):
    line = f"DELETE https://a.example{path}"
    assert one_host(allow=["* /**"]).decide(make_request(line)).allowed
    assert one_host(allow=["* /**"], deny=["DELETE /p/*"]).decide(make_request(line)).code is Code.DENIED_BY_RULE


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("* /a*b", "/A;b"),
        ("* /a*b", "/a%3Bb"),
        ("* /**/x", "//X"),
        ("* /p/*/x", "/P/a%2fb;c/x"),
        ("* /a;b", "/A%3Bb"),
        ("* /a%2Fb/*", "/A%2fb/x%5Cy"),
    ],
)
def test_tricks_do_not_add_up(rule, path):
    line = f"GET https://a.example{path}"
    assert one_host(allow=["* /**"]).decide(make_request(line)).allowed
    assert one_host(allow=["* /**"], deny=[rule]).decide(make_request(line)).code is Code.DENIED_BY_RULE


def test_a_method_in_another_case_gets_past_no_deny():
    request = changed(make_request("GET https://a.example/x"), method="delete")
    assert one_host(allow=["* /**"]).decide(request).allowed
    assert one_host(allow=["* /**"], deny=["DELETE /**"]).decide(request).code is Code.DENIED_BY_RULE
    assert not one_host(allow=["DELETE /**"]).decide(request).allowed


@pytest.mark.parametrize("path", ["/x%2Fy", "/X", "/x;v=1", "/%2Fx", "//x"])
def test_no_spelling_gets_into_an_allow(path):
    policy = one_host(allow=["GET /x", "GET /x/*"])
    assert not policy.decide(make_request(f"GET https://a.example{path}")).allowed
    assert policy.decide(make_request("GET https://a.example/x")).allowed


QUERY = "{methods: [GET], path: /x, query: {ref: main}}"


def with_constraint(rule: str, action: str) -> Policy:
    other = 'allow: ["* /**"]' if action != "allow" else ""
    return make_policy(
        f"version: 1\ndestinations: [{{host: a.example, {action}: [{rule}], {other}}}]".replace(", }", "}")
    )


@pytest.mark.parametrize("query", ["ref=main", "a=b&ref=main", "ref=main&ref=main", "%72ef=m%61in", "a=1;b&ref=main"])
def test_a_demanded_parameter_that_is_there(query):
    assert with_constraint(QUERY, "allow").decide(make_request(f"GET https://a.example/x?{query}")).allowed
    assert (
        with_constraint(QUERY, "deny").decide(make_request(f"GET https://a.example/x?{query}")).code
        is Code.DENIED_BY_RULE
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ref",
        "ref=",
        "ref=other",
        "ref=main&ref=evil",
        "ref=evil&ref=main",
        "ref=main;ref=evil",
        "ref=main&REF=evil",
        "xref=main",
    ],
)
def test_a_demanded_parameter_with_another_reading_allows_nothing(query):
    verdict = with_constraint(QUERY, "allow").decide(make_request(f"GET https://a.example/x?{query}"))
    assert verdict.code is Code.PATH_NOT_ALLOWED


@pytest.mark.parametrize("query", ["ref=main&ref=x", "ref=x&ref=main", "REF=MAIN", "a=1;ref=main", "%52ef=main"])
def test_a_demanded_parameter_under_any_reading_denies(query):
    assert (
        with_constraint(QUERY, "deny").decide(make_request(f"GET https://a.example/x?{query}")).code
        is Code.DENIED_BY_RULE
    )


HEADER = "{methods: [GET], path: /x, headers: {X-Env: test}}"


@pytest.mark.parametrize(
    ("headers", "allowed", "denied"),
    [
        ([("x-env", "test")], True, True),
        ([], False, False),
        ([("x-env", "prod")], False, False),
        ([("x-env", "test"), ("x-env", "prod")], False, True),
        ([("x-env", "prod, test")], False, True),
        ([("x-env", "TEST")], False, True),
    ],
)
def test_demanded_headers(headers, allowed, denied):
    request = make_request("GET https://a.example/x", headers=headers)
    assert with_constraint(HEADER, "allow").decide(request).allowed is allowed
    assert with_constraint(HEADER, "deny").decide(request).allowed is not denied


def test_an_address_is_matched_only_where_it_is_spelt_out():
    everything = make_policy(
        'version: 1\ndestinations: [{host: "*", i_understand_this_allows_everything: true, allow: ["* /**"]}]'
    )
    assert everything.decide(make_request("GET https://any.example/")).allowed
    for host in ("10.0.0.1", "::1"):
        request = changed(make_request("GET https://x/"), host=host)
        assert everything.decide(request).code is Code.HOST_NOT_ALLOWED
        spelt = make_policy(f'version: 1\ndestinations: [{{host: "{host}", allow: ["* /**"]}}]')
        assert spelt.decide(request).allowed


def test_connect_is_told_the_passthrough_and_the_interception():
    policy = make_policy(EXAMPLE)
    tunnel = policy.decide_host("default", "x.corp.example", 443)
    assert tunnel.allowed
    assert tunnel.destination is not None
    assert tunnel.destination.tls == "passthrough"
    assert tunnel.rule == "*.corp.example allow[0]"
    opened = policy.decide_host("default", "api.github.com", 443)
    assert opened.allowed
    assert opened.destination is not None
    assert opened.destination.tls == "intercept"
    assert policy.decide_host("default", "corp.example", 443).code is Code.HOST_NOT_ALLOWED
    assert policy.decide_host("default", "api.github.com", 22).code is Code.PORT_NOT_ALLOWED
    assert policy.decide_host("default", "ci.example", 443).code is Code.HOST_NOT_ALLOWED
    assert policy.decide_host("ci", "ci.example", 443).allowed


def test_a_passthrough_without_a_rule_opens_nothing():
    policy = make_policy("version: 1\ndestinations: [{host: a.example, tls: passthrough}]")
    assert not policy.decide_host("default", "a.example", 443).allowed
    assert not policy.decide(make_request("GET https://a.example/")).allowed


def injecting(name: str, *, host: str = "a.example", **settings) -> Destination:
    rule = Rule(f"{name} allow[0]", Action.ALLOW, None, "/**")
    return Destination(name, host, 443, "https", (rule,), **settings)


KEY = (Injection("header", ("key",), name="x-api-key", template="{key}"),)

PREFERENCES = [
    # The one that must be chosen, and one that must not, whatever their order.
    ("injects", {"inject": KEY}, {}),
    ("strips", {}, {"client_credentials": "pass"}),
    ("strips, rather than injects", {}, {"client_credentials": "pass", "inject": KEY}),
    ("exact", {}, {"host": "*.example"}),
    ("nearer", {"host": "*.example"}, {"host": "*"}),
]


@pytest.mark.parametrize(("why", "chosen", "other"), PREFERENCES)
def test_whose_destination_applies_does_not_depend_on_order(why, chosen, other):
    first, second = injecting("chosen", **chosen), injecting("other", **other)
    for order in ((first, second), (second, first)):
        assert Policy(destinations=order).decide(make_request("GET https://a.example/")).destination is first, why


# --- laws -------------------------------------------------------------------------------------------------------------

names = ["a.example", "b.a.example", "c.b.a.example", "example", "10.0.0.1", "::1"]
hosts = st.sampled_from([*names, "*.a.example", "*.example", "*"])
paths = st.lists(st.sampled_from(["a", "B", "b", "*", "**", "x*", "%2F", "a%2Fb", ""]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
methods = st.one_of(st.none(), st.frozensets(st.sampled_from(["GET", "POST"]), min_size=1))
constraints = st.lists(st.tuples(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"])), max_size=1).map(tuple)
rules = st.builds(Rule, st.just(""), st.sampled_from(Action), methods, paths, constraints, constraints)


@st.composite
def destinations(draw):
    tunnel = draw(st.sampled_from(["intercept"] * 5 + ["passthrough"]))
    given_rules = draw(st.lists(rules, max_size=4).map(tuple))
    return Destination(
        "d",
        draw(hosts),
        draw(st.sampled_from([443, 80])),
        "https" if tunnel == "passthrough" else draw(st.sampled_from(["https", "https", "http"])),
        (Rule("t allow[0]", Action.ALLOW, None, None),) if tunnel == "passthrough" else given_rules,
        tls=tunnel,
        client_credentials=draw(st.sampled_from(["strip", "pass"])),
        inject=draw(st.sampled_from([(), KEY])),
        agents=draw(st.sampled_from([None, None, frozenset({"ci"}), frozenset()])),
    )


policies = st.lists(destinations(), max_size=5)
request_paths = st.lists(st.sampled_from(["a", "A", "b", "xy", "", "a%2Fb", "%2Fa", "%61", "a;v"]), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@st.composite
def requests(draw):
    path = draw(request_paths)
    return Request(
        draw(st.sampled_from(["default", "ci"])),
        draw(st.sampled_from(["GET", "POST", "get", "PUT"])),
        draw(st.sampled_from(["https", "https", "http"])),
        draw(st.sampled_from(names)),
        draw(st.sampled_from([443, 443, 80])),
        path,
        fold_path(path),
        draw(st.sampled_from(["", "k=1", "k=2", "k=1&k=2", "K=1", "k=1;k=2", "k=1&l=1"])),
        tuple(draw(st.lists(st.tuples(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2", "1,2"])), max_size=2))),
    )


@given(policies, requests())
def test_the_compiled_policy_is_the_contract(given_destinations, request):
    verdict = Policy(destinations=tuple(given_destinations)).decide(request)
    assert (verdict.action, verdict.code) == reference.decide(given_destinations, request)


anything = st.text(max_size=20)


@given(
    policies,
    st.builds(
        Request, *[anything] * 4, st.integers(), *[anything] * 3, st.lists(st.tuples(anything, anything)).map(tuple)
    ),
)
def test_any_request_has_a_verdict(given_destinations, request):
    verdict = Policy(destinations=tuple(given_destinations)).decide(request)
    assert verdict.allowed is (verdict.code is None)


@given(requests())
def test_an_empty_policy_denies_everything(request):
    assert Policy().decide(request).code is Code.HOST_NOT_ALLOWED
    assert Policy().decide_host(request.agent, request.host, request.port, request.scheme).code is Code.HOST_NOT_ALLOWED


def applied(verdict: Verdict) -> tuple[object, ...]:
    """What happens to the request: the answer, and the settings with which it is sent."""
    if verdict.destination is None:
        return verdict.action, verdict.code
    return verdict.action, verdict.code, verdict.destination.inject, verdict.destination.client_credentials


@given(policies, requests(), st.randoms(use_true_random=False))
def test_order_never_matters(given_destinations, request, chance: random.Random):
    shuffled = [d._replace(rules=tuple(chance.sample(d.rules, len(d.rules)))) for d in given_destinations]
    chance.shuffle(shuffled)
    before = Policy(destinations=tuple(given_destinations)).decide(request)
    assert applied(Policy(destinations=tuple(shuffled)).decide(request)) == applied(before)


@given(policies, destinations(), requests())
def test_adding_a_deny_never_allows_more(given_destinations, addition, request):
    denies = tuple(rule._replace(action=Action.DENY) for rule in addition.rules)
    more = (*given_destinations, addition._replace(rules=denies))
    strength = [Action.ALLOW, Action.ASK, Action.DENY].index
    before = Policy(destinations=tuple(given_destinations)).decide(request)
    assert strength(Policy(destinations=more).decide(request).action) >= strength(before.action)


@given(paths, request_paths)
def test_a_deny_covers_at_least_what_its_pattern_says(pattern, path):
    deny = Rule("", Action.DENY, None, re.sub(r"\*{2,}", "**", pattern))
    everything = Rule("", Action.ALLOW, None, "/**")
    policy = Policy(destinations=(Destination("d", "a.example", 443, "https", (everything, deny)),))
    assert deny.path is not None
    covered = reference.glob(deny.path, wide=True).fullmatch(path) is not None
    request = Request("default", "GET", "https", "a.example", 443, path, fold_path(path))
    assert policy.decide(request).allowed <= (not covered)


@given(policies, requests(), st.data())
def test_removing_an_allow_never_allows_more(given_destinations, request, data):
    before = Policy(destinations=tuple(given_destinations)).decide(request)
    kept = [
        d._replace(rules=tuple(r for r in d.rules if r.action is not Action.ALLOW or data.draw(st.booleans())))
        for d in given_destinations
    ]
    after = Policy(destinations=tuple(kept)).decide(request)
    assert before.allowed or not after.allowed


@given(policies, requests())
def test_the_answer_to_connect_is_never_stricter(given_destinations, request):
    policy = Policy(destinations=tuple(given_destinations))
    verdict = policy.decide(request)
    door = policy.decide_host(request.agent, request.host, request.port, request.scheme)
    if verdict.action is not Action.DENY:
        assert door.allowed
    assert (door.code is Code.HOST_NOT_ALLOWED) is (verdict.code is Code.HOST_NOT_ALLOWED)
    assert (door.code is Code.PORT_NOT_ALLOWED) is (verdict.code is Code.PORT_NOT_ALLOWED)


def test_verdicts_are_made_once():
    policy = make_policy(EXAMPLE)
    request = make_request("GET https://api.github.com/repos/acme/web")
    assert policy.decide(request) is policy.decide(request)
