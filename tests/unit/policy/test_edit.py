"""Editing: the rule is where it belongs, and every other octet is where it was."""

# ruff: noqa: E501 (a table is read by its rows)
from __future__ import annotations

import difflib
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError, OutwardError
from outward.policy.edit import Target, add_rule, parse_target
from tests.support.changed import changed
from tests.unit.policy.conftest import make_policy, make_request
from tests.unit.policy.test_load import DOCUMENTED

TARGETS = {
    "POST api.github.com/gists": Target("https", "api.github.com", 443, "POST /gists"),
    "GET,HEAD API.github.com./repos/**": Target("https", "api.github.com", 443, "GET,HEAD /repos/**"),
    "* a.example:8443/**": Target("https", "a.example", 8443, "* /**"),
    "GET http://a.example/x": Target("http", "a.example", 80, "GET /x"),
    "GET https://a.example/x": Target("https", "a.example", 443, "GET /x"),
    "GET *.a.example/x": Target("https", "*.a.example", 443, "GET /x"),
    "GET [::1]:99/a": Target("https", "::1", 99, "GET /a"),
    " GET  a.example/%7ex ": Target("https", "a.example", 443, "GET /~x"),
}


@pytest.mark.parametrize(("text", "target"), TARGETS.items())
def test_targets(text, target):
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GET",
        "GET a.example",
        "get a.example/x",
        "GET a.example/x y",
        "GET a..b/x",
        "GET u@a/x",
        "GET ftp://a/x",
        "GET a/?q",
        "GET */x",
    ],
)
def test_what_is_no_target(text):
    with pytest.raises((OutwardError, ClientError)):
        parse_target(text)


CASES: dict[str, tuple[str, tuple[Literal["allow", "deny"], str], list[str]]] = {
    # A file, an edit, and what is added: the lines of the difference.
    "flow list": (
        'version: 1\ndestinations:\n  - host: a.example   # us\n    allow: ["GET /x"]   # x\n',
        ("allow", "POST a.example/y"),
        ['-    allow: ["GET /x"]   # x', '+    allow: ["GET /x", "POST /y"]   # x'],
    ),
    "empty flow list": (
        "version: 1\ndestinations:\n  - host: a.example\n    allow: []\n",
        ("allow", "POST a.example/y"),
        ["-    allow: []", '+    allow: ["POST /y"]'],
    ),
    "block list": (
        "version: 1\ndestinations:\n- host: a.example\n  allow:\n  - GET /x   # x\n  # end\n\n- host: b.example\n",
        ("allow", "POST a.example/y"),
        ['+  - "POST /y"'],
    ),
    "flow list over lines": (
        "version: 1\ndestinations:\n  - host: a.example\n    allow: [\n      GET /x,   # x\n      GET /z    # z\n    ]\n",
        ("allow", "POST a.example/y"),
        ["-      GET /z    # z", '+      GET /z, "POST /y"    # z'],
    ),
    "no such list": (
        "version: 1\ndestinations:\n  - host: a.example\n    allow:\n      - GET /x\n\n# the end\n",
        ("deny", "* a.example/x/**"),
        ['+    deny: ["* /x/**"]'],
    ),
    "flow mapping": (
        "version: 1\ndestinations:\n  - {host: a.example, port: 8443, allow: [GET /x] }\n",
        ("deny", "GET a.example:8443/z"),
        [
            "-  - {host: a.example, port: 8443, allow: [GET /x] }",
            '+  - {host: a.example, port: 8443, allow: [GET /x], deny: ["GET /z"] }',
        ],
    ),
    "long rule at the end": (
        "version: 1\ndestinations:\n  - host: a.example\n    allow:\n      - methods: [GET]\n        path: /x\n        query: {a: b}  # b\n",
        ("allow", "POST a.example/y"),
        ['+      - "POST /y"'],
    ),
    "new host": (
        "version: 1\ndestinations:\n  - host: a.example\n    allow: [GET /x]\n\nworkspace: {mode: read}\n",
        ("allow", "GET b.example/y"),
        ["+  - host: b.example", '+    allow: ["GET /y"]'],
    ),
    "new host with its place": (
        "version: 1\ndestinations:\n- host: a.example\n",
        ("allow", "GET http://b.example:8080/y"),
        ["+- host: b.example", "+  scheme: http", "+  port: 8080", '+  allow: ["GET /y"]'],
    ),
    "new host in brackets": (
        "version: 1\ndestinations: [{host: a.example}]\n",
        ("allow", "GET b.example/y"),
        [
            "-destinations: [{host: a.example}]",
            '+destinations: [{host: a.example}, {host: b.example, allow: ["GET /y"]}]',
        ],
    ),
    "no destinations yet": (
        "# mine\nversion: 1\nuse: [claude-code]\n",
        ("allow", "GET *.b.example/y"),
        ["+", "+destinations:", '+  - host: "*.b.example"', '+    allow: ["GET /y"]'],
    ),
    "empty destinations": (
        "version: 1\ndestinations: []   # none\n",
        ("allow", "GET b.example/y"),
        ["-destinations: []   # none", "+destinations:", "+  - host: b.example", '+    allow: ["GET /y"]   # none'],
    ),
    "no line end": (
        "version: 1\ndestinations:\n  - host: a.example\n    allow:\n      - GET /x",
        ("allow", "POST a.example/y"),
        ["-      - GET /x", "+      - GET /x", '+      - "POST /y"'],
    ),
    "for all, not for one agent": (
        "version: 1\ndestinations:\n  - {host: a.example, agents: [ci]}\n  - {host: a.example}\n",
        ("allow", "GET a.example/y"),
        ["-  - {host: a.example}", '+  - {host: a.example, allow: ["GET /y"]}'],
    ),
    "where the credentials are": (
        """version: 1\nsecrets: {k: {env: K}}\ndestinations:
  - {host: a.example}
  - {host: A.example., inject: [{header: x, secret: k}]}
""",
        ("allow", "GET a.example/y"),
        [
            "-  - {host: A.example., inject: [{header: x, secret: k}]}",
            '+  - {host: A.example., inject: [{header: x, secret: k}], allow: ["GET /y"]}',
        ],
    ),
    "other alphabets": (
        "version: 1\n# ünïcödé 日本\ndestinations:\n  - {name: 日本 é, host: a.example, allow: [GET /x]} # é\n",
        ("allow", "GET a.example/y"),
        [
            "-  - {name: 日本 é, host: a.example, allow: [GET /x]} # é",
            '+  - {name: 日本 é, host: a.example, allow: [GET /x, "GET /y"]} # é',
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_only_the_rule_is_added(name):
    text, (action, rule), expected = CASES[name]
    after = add_rule(text, "policy.yaml", action, parse_target(rule))
    difference = list(difflib.unified_diff(text.splitlines(keepends=True), after.splitlines(keepends=True), n=0))
    changed = [line.rstrip("\n") for line in difference[2:] if not line.startswith("@@")]
    assert changed == expected
    target = parse_target(rule)
    rules = [r for d in make_policy(after).destinations if d.host == target.host for r in d.rules if r.action == action]
    assert any(f"{','.join(sorted(r.methods or '*'))} {r.path}" == target.rule for r in rules)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_that_is_there_is_not_added_again(name):
    text, (action, rule), _ = CASES[name]
    once = add_rule(text, "policy.yaml", action, parse_target(rule))
    assert once != text
    assert add_rule(once, "policy.yaml", action, parse_target(rule)) == once


@given(
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["api.github.com", "api.anthropic.com", "internal.example.com", "new.example", "*.new.example"]),
    st.sampled_from(["", ":443", ":8443"]),
    st.sampled_from(["GET", "GET,POST"]),
    st.lists(st.sampled_from(["a", "b%2Fc", "é", "~", "x:y", "'\"", "{}", "#"]), min_size=1, max_size=3),
)
def test_an_edit_of_the_documented_example_keeps_every_line_and_means_what_it_says(action, host, port, methods, parts):
    path = "/" + "/".join(parts)
    rule = f"{methods} {host}{port}{path}"
    if "#" in path:
        with pytest.raises(OutwardError):
            parse_target(rule)
        return
    after = add_rule(DOCUMENTED, "policy.yaml", action, parse_target(rule))
    kept = iter(after.splitlines())
    assert all(any(line.rstrip("]}") in new for new in kept) for line in DOCUMENTED.splitlines())
    certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    policy = make_policy(after, registries=None, team="version: 1", **{"internal-ca": certificate})
    name = host.replace("*", "www")
    verdict = policy.decide(
        changed(make_request(f"GET https://{name}{port}/x"), path=parse_target(rule).rule.split(" ")[1])
    )
    assert verdict.action == action


def test_what_cannot_be_edited_is_refused():
    for text in (
        "[]",
        "version: 1\ndestinations: {}",
        "{version: 1}",
        "version: 1\ndestinations:\n  - {host: a.example, allow: connect}",
    ):
        with pytest.raises(OutwardError):
            add_rule(text, "policy.yaml", "allow", parse_target("GET a.example/x"))
