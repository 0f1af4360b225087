"""Two answers to one question are a problem of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.policy.conftest import make_policy, problems_of

HEAD = "version: 1\nsecrets: {k: {env: K}, l: {env: L}}\ndestinations:\n"
K, L = "inject: [{header: x-k, secret: k}]", "inject: [{header: x-l, secret: l}]"


def pair(one: str, two: str) -> str:
    return f"{HEAD}  - {{{one}}}\n  - {{{two}}}\n"


def rules(*lines: str, host: str = "a.example", more: str = "") -> str:
    return f"host: {host!r}, allow: [{', '.join(lines)}], {more}"


CONFLICTS = {
    "the same rule": (rules("GET /x", more=K), rules("GET /x", more=L)),
    "a wider path": (rules("GET /x/**", more=K), rules("GET /x/y", more=L)),
    "globs that meet": (rules("GET /*/b", more=K), rules("GET /a/*", more=L)),
    "any method": (rules('"* /x"', more=K), rules("POST /x", more=L)),
    "one of several": (rules("GET /x", "POST /y", more=K), rules("GET /z", '"PUT,POST /y"', more=L)),
    "wildcard and name": (rules("GET /x", host="*.example", more=K), rules("GET /x", more=L)),
    "two wildcards": (rules("GET /x", host="*.example", more=K), rules("GET /x", host="*.b.example", more=L)),
    "everything": (
        rules("GET /x", host="*", more=f"{K}, i_understand_this_allows_everything: true"),
        rules("GET /x", more=L),
    ),
    "the same agent": (rules("GET /x", more=f"{K}, agents: [ci, x]"), rules("GET /x", more=f"{L}, agents: [ci]")),
    "one for all agents": (rules("GET /x", more=f"{K}, agents: [ci]"), rules("GET /x", more=L)),
    "the same demand": (
        rules("{methods: [GET], path: /x, query: {a: b}}", more=K),
        rules("{methods: [GET], path: /x, query: {a: b, c: d}}", more=L),
    ),
    "one demand": (rules("{methods: [GET], path: /x, query: {a: b}}", more=K), rules("GET /x", more=L)),
    "different demands": (
        rules("{methods: [GET], path: /x, query: {a: b}}", more=K),
        rules("{methods: [GET], path: /x, query: {c: d}}", more=L),
    ),
    "the same secret twice in one file": (rules("GET /x", more=K), rules("GET /x", more=K)),
    "two to be asked for": (f"host: a.example, ask: [GET /x], {K}", f"host: a.example, ask: [GET /X], {L}"),
    "two addresses": (
        rules("GET /x", more="connect_to: '127.0.0.1:1'"),
        rules("GET /x", more="connect_to: '127.0.0.1:2'"),
    ),
    "private or not": (rules("GET /x", more="allow_private: true"), rules("GET /**")),
    "passed through and intercepted": (rules("GET /x"), "host: a.example, tls: passthrough, allow: connect"),
    "passed through below": (rules("GET /x"), "host: '*.example', tls: passthrough, allow: connect"),
}

NO_CONFLICTS = {
    "other paths": (rules("GET /x/*", more=K), rules("GET /y/*", more=L)),
    "one segment and two": (rules("GET /x/*", more=K), rules("GET /x/*/z", more=L)),
    "an encoded slash": (rules("GET /x/*", more=K), rules("GET /x/a%2Fb", more=L)),
    "other methods": (rules("GET /x", more=K), rules("POST /x", more=L)),
    "other hosts": (rules("GET /x", more=K), rules("GET /x", host="b.example", more=L)),
    "the suffix itself": (rules("GET /x", host="*.a.example", more=K), rules("GET /x", more=L)),
    "other ports": (rules("GET /x", more=K), rules("GET /x", more=f"{L}, port: 8443")),
    "other schemes": (rules("GET /x", more=K), rules("GET /x", more=f"{L}, scheme: http, port: 443")),
    "other agents": (rules("GET /x", more=f"{K}, agents: [ci]"), rules("GET /x", more=f"{L}, agents: [dev]")),
    "for no agent": (rules("GET /x", more=K), rules("GET /x", more=f"{L}, agents: []")),
    "different values of one parameter": (
        rules("{methods: [GET], path: /x, query: {a: b}}", more=K),
        rules("{methods: [GET], path: /x, query: {a: c}}", more=L),
    ),
    "different values of one header": (
        rules("{methods: [GET], path: /x, headers: {A: b}}", more=K),
        rules("{methods: [GET], path: /x, headers: {a: c}}", more=L),
    ),
    "only one injects": (rules("GET /x", more=K), rules("GET /x")),
    "denied by one": (rules("GET /x", more=K), f"host: a.example, deny: [GET /x], {L}"),
    "allowed here, asked there": (rules("GET /x", more=K), f"host: a.example, ask: [GET /x], {L}"),
    "a name and its wildcard, sent differently": (
        rules("GET /x", more="connect_to: '127.0.0.1:1'"),
        rules("GET /x", host="*.example"),
    ),
    "passed through on another port": (
        rules("GET /x"),
        "host: a.example, port: 8443, tls: passthrough, allow: connect",
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
@pytest.mark.parametrize("turned", [False, True])
def test_conflicts_are_told_at_the_later_destination(name, turned):
    one, two = CONFLICTS[name][:: -1 if turned else 1]
    (problem,) = problems_of(pair(one, two))
    assert (problem.line, problem.path) == (5, "destinations[1]")
    assert ":4)" in problem.message


@pytest.mark.parametrize("name", NO_CONFLICTS)
@pytest.mark.parametrize("turned", [False, True])
def test_what_no_request_can_have_in_common_is_no_conflict(name, turned):
    one, two = NO_CONFLICTS[name][:: -1 if turned else 1]
    assert len(make_policy(pair(one, two)).destinations) == 2


def test_a_file_may_repeat_what_it_uses_but_not_contradict_it():
    preset = (
        "version: 1\nuse: [claude-code]\nsecrets: {other: {env: OTHER}}\ndestinations:\n  - host: api.anthropic.com\n"
    )
    same = preset + "    allow: [POST /v1/messages]\n    inject: [{header: x-api-key, secret: anthropic}]\n"
    assert len(make_policy(same).destinations) == 2
    (problem,) = problems_of(same.replace("secret: anthropic", "secret: other"))
    assert (Path(problem.file).name, problem.line) == ("policy.yaml", 5)


def test_many_destinations_are_compared_with_their_like_only():
    many = "".join(f"  - {{host: h{i}.example, allow: [GET /x], {K}}}\n" for i in range(2000))
    assert len(make_policy(HEAD + many).destinations) == 2000
