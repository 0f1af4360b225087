"""Placeholders in bodies: found however they are written and cut, written as the body's kind wants it, nothing else touched."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import Secret, SecretUnavailable
from outward.credentials.forms.body import BodySwap, BodyTable, Kind, kind_of

STAND_IN = "sk/test+FAKE-1"
VALUE = b'sk/"REAL\\& =\xc3\xa9'
OTHER = b"other-value"

KINDS: tuple[Kind, ...] = ("json", "form", "text")
TABLES = {kind: BodyTable([(STAND_IN, Secret("key", VALUE)), ("sk/", Secret("other", OTHER))], kind) for kind in KINDS}


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (["application/json"], "json"),
        (["Application/JSON; charset=utf-8"], "json"),
        (["application/vnd.api+json"], "json"),
        (["application/x-ndjson"], "json"),
        (["application/x-www-form-urlencoded"], "form"),
        (["text/plain; charset=utf-8"], "text"),
        (["application/graphql"], "text"),
        (["application/grpc"], None),
        (["application/grpc+json"], None),
        (["application/connect+json"], None),
        (["application/octet-stream"], None),
        (["application/jsonp"], None),
        ([], None),
        (["text/plain", "application/json"], None),
    ],
)
def test_what_is_looked_into(types: list[str], kind: str | None) -> None:
    fields = [("content-type", "Content-Type", value) for value in types]
    assert kind_of(fields) == kind
    assert kind_of([*fields, ("content-encoding", "Content-Encoding", "gzip")]) is None


def test_a_parser_of_json_finds_the_value() -> None:
    for spelling in (STAND_IN, STAND_IN.replace("/", "\\/"), "\\u0073k\\u002Ftest\\u002bFAKE-1"):
        out = TABLES["json"].whole(b'{"a": ["<' + spelling.encode() + b'>", "\\u0041"]}')
        assert json.loads(out)["a"] == [f"<{VALUE.decode()}>", "A"]


def test_a_parser_of_forms_finds_the_value() -> None:
    for spelling in (STAND_IN, quote(STAND_IN, safe=""), quote_plus(STAND_IN), "%73k%2ftest%2bFAKE%2d1"):
        out = TABLES["form"].whole(f"a=x+y&b={spelling}&c=%2B".encode())
        assert dict(parse_qsl(out.decode())) == {"a": "x y", "b": VALUE.decode(), "c": "+"}


def test_text_gets_the_value_as_it_is() -> None:
    assert TABLES["text"].whole(b"<" + STAND_IN.encode() + b"> %73k/") == b"<" + VALUE + b"> %73k/"


def test_the_longer_of_two_placeholders_is_meant() -> None:
    assert TABLES["text"].whole(b"sk/test+FAKE-1 sk/test") == VALUE + b" " + OTHER + b"test"


def test_a_value_that_is_not_text_has_no_place_in_json() -> None:
    with pytest.raises(SecretUnavailable, match="not text"):
        BodyTable([(STAND_IN, Secret("key", b"\xff\xfe"))], "json")


def test_what_was_swapped_is_not_looked_at_again() -> None:
    table = BodyTable([("ab", Secret("one", b"a")), ("cd", Secret("two", b"ab"))], "text")
    swap = BodySwap(table)
    assert swap.feed(b"ab") + swap.feed(b"b cd", last=True) == b"ab ab"


PIECES = st.lists(
    st.sampled_from(
        [STAND_IN, "sk/te", "s", "%73k", "%2", "\\u007", "\\u0073k\\/test+FAKE-1", "%73k%2Ftest%2BFAKE-1", "x"]
    )
).map("".join)


@given(PIECES, st.lists(st.integers(0, 80)), st.sampled_from(KINDS))
def test_any_cut_gives_the_same(text: str, cuts: list[int], kind: Kind) -> None:
    data, swap, out, last = text.encode(), BodySwap(TABLES[kind]), b"", 0
    longest = 0
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        out += swap.feed(data[last:cut])
        longest = max(longest, len(swap._held))
        last = cut
    whole = TABLES[kind].pattern.sub(lambda found: TABLES[kind].stand_ins[(found.lastindex or 1) - 1].value, data)
    assert out + swap.feed(data[last:], last=True) == whole
    assert longest <= TABLES[kind].window


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_without_a_placeholder_nothing_changes(data: bytes, kind: Kind) -> None:
    if TABLES[kind].pattern.search(data) is None:
        assert TABLES[kind].whole(data) == data
