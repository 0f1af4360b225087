"""Answers of token endpoints, and what stands for the tokens in them."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import UpstreamError
from outward.credentials.capture import MAX_TOKEN, TokenAnswer, Unreadable
from outward.credentials.placeholders import MIN_RANDOM, make_token

FIELDS = (("access_token", "access"), ("refresh_token", "refresh"))
FORM = "application/x-www-form-urlencoded"
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
KEYS = st.text(max_size=8).filter(lambda name: "_token" not in name)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
NAMES = {"access": "stand-in-for-access", "refresh": "stand-in-for-refresh"}


def answer(document: object) -> TokenAnswer:
    return TokenAnswer("application/json", json.dumps(document).encode(), FIELDS)


@given(VISIBLE, st.dictionaries(KEYS, JSON, max_size=4))
def test_all_but_the_tokens_stays(token, others):
    read = answer(others | {"access_token": token})
    assert read.found == [("access_token", "access", token)]
    assert json.loads(read.rewritten(NAMES)) == others | {"access_token": NAMES["access"]}


@given(VISIBLE, st.dictionaries(KEYS.filter(bool), st.text(max_size=8), max_size=4))
def test_of_a_form_likewise(token, others):
    read = TokenAnswer(FORM, urlencode(others | {"refresh_token": token}).encode(), FIELDS)
    assert read.found == [("refresh_token", "refresh", token)]
    assert dict(parse_qsl(read.rewritten(NAMES).decode(), keep_blank_values=True)) == others | {
        "refresh_token": NAMES["refresh"]
    }


@given(
    st.sampled_from(["", "application/json", "application/problem+json", FORM, "text/html"]), st.binary(max_size=200)
)
def test_anything_else_is_unreadable_and_nothing_worse(kind, body):
    with contextlib.suppress(UpstreamError):
        TokenAnswer(kind, body, FIELDS).rewritten(NAMES)


@pytest.mark.parametrize(
    "body",
    [b'{"a": NaN}', b"{" * 100_000, b"\xff{}", b'"text"', b"", b"a=1"],
)
def test_what_is_no_answer(body):
    with pytest.raises(UpstreamError):
        TokenAnswer("application/json", body, FIELDS).rewritten(NAMES)


@pytest.mark.parametrize(("opening", "end"), [("[", "]"), ('{"a": ', "}")])
def test_however_deep_it_is_it_is_read_or_refused(opening, end):
    read = set()
    limit = sys.getrecursionlimit()  # the parser's may be another one
    for depth in (*range(limit - 250, limit + 2), 2 * limit, 100_000):
        body = '{"access_token": "t", "a": ' + opening * depth + "1" + end * depth + "}"
        try:
            read.add(TokenAnswer("application/json", body.encode(), FIELDS).rewritten(NAMES) != b"")
        except UpstreamError:
            read.add(False)
    assert read == {True, False}, "both were tried"


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a", b"a=%", b"a=\xff"])
def test_what_is_no_form(body):
    if body == b"a=%":
        assert TokenAnswer(FORM, body, FIELDS).found == []
    else:
        with pytest.raises(Unreadable):
            TokenAnswer(FORM, body, FIELDS)


@pytest.mark.parametrize("value", [1, ["t"], {"t": 1}, "a b", "a\n", "é", "x" * (MAX_TOKEN + 1)])
def test_what_is_no_token(value):
    with pytest.raises(UpstreamError, match="access_token"):
        answer({"access_token": value})


@pytest.mark.parametrize("value", [None, "", False])
def test_a_field_with_nothing_in_it_stays(value):
    assert json.loads(answer({"access_token": value}).rewritten({})) == {"access_token": value}


@pytest.mark.parametrize(
    "document", [{"id_token": "t"}, {"data": {"access_token": "t"}}, {"list": [{"x": {"refresh_token": "t"}}]}]
)
def test_a_token_where_none_is_captured_is_refused(document):
    with pytest.raises(UpstreamError, match="does not capture"):
        answer(document)


def jwt(claims: object, signature: str = "s" * 43) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "x"}, claims)
    ]
    return ".".join((*parts, signature))


def test_an_opaque_token_keeps_its_stand_in_as_long_as_its_shape():
    first = make_token("sk-ant-oat01-" + "a" * 60)
    assert first.startswith("sk-ant-oat01-")
    assert make_token("sk-ant-oat01-" + "b" * 60, first) == first
    assert make_token("sk-ant-oat01-" + "b" * 61, first) != first
    assert make_token("sk-proj-" + "b" * 65, first) != first
    short = make_token("abc")
    assert len(short) >= MIN_RANDOM
    assert make_token("xyz", short) == short


def test_of_a_jwt_all_but_the_signature_is_shown():
    real = jwt({"email": "me@corp.example"})
    stand_in = make_token(real)
    assert stand_in.rpartition(".")[0] == real.rpartition(".")[0]
    assert stand_in != real
    assert len(stand_in) == len(real)
    assert make_token(real, stand_in) == stand_in
    assert make_token(jwt({"email": "me@corp.example", "exp": 2}), stand_in) != stand_in
    assert len(make_token(jwt({"exp": 1}, "")).rpartition(".")[2]) >= MIN_RANDOM


def test_what_only_looks_like_one_is_random_everywhere():
    assert make_token("not.a.jwt-but-with-dots-in-it").partition(".")[0] != "not" * 9
