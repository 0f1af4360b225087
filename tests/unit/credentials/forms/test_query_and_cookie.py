"""Parameters and cookies that we set: what of the client's goes, what stays, how values are written."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import Secret, SecretUnavailable
from outward.core.canonical import folded_name
from outward.credentials.forms import cookie, query

KEY = frozenset({"key"})


@pytest.mark.parametrize(
    "spelling", ["key", "KEY", "%6bey", "%6B%65%79", "key[]", "key[0]", "key%5B%5D", "+key", "%20key", "key%00x"]
)
@pytest.mark.parametrize("around", ["{}=mine", "{}", "a=1&{}=mine", "{}=mine&a=1", "a=1;{}=mine", "{0}=mine&{0}=more"])
def test_no_spelling_of_our_name_stays(spelling: str, around: str) -> None:
    left = query.without(around.format(spelling), KEY)
    assert left == ("a=1" if "a=1" in around else "")


@pytest.mark.parametrize("text", ["", "a=1", "keys=1", "a=key", "a=1&&b=2", "mykey=1;b=%6b", "a%3Dkey=1", "_key=1"])
def test_other_parameters_stay_as_they_are(text: str) -> None:
    assert query.without(text, KEY) == text


@pytest.mark.parametrize(("name", "other"), [("a.b", "a_b"), ("a b", "a+b"), ("x[y]", "x"), ("%41", "a")])
def test_names_that_some_server_takes_for_one(name: str, other: str) -> None:
    assert folded_name(name) == folded_name(other)


@given(st.binary(max_size=40))
def test_any_value_comes_out_as_it_was(value: bytes) -> None:
    name, _, written = query.render("k y", Secret("key", value)).partition("=")
    assert (name, unquote_to_bytes(written)) == ("k%20y", value)
    assert not set(written) & set("&;=+ #\r\n")


@given(st.text("abkey=&;%6+.[", max_size=40))
def test_a_parser_finds_nothing_under_our_name(text: str) -> None:
    left = query.without(text, KEY)
    for separator in "&;":
        assert not any(folded_name(quote(name)) == "key" for name, _ in parse_qsl(left, True, separator=separator))


def test_a_placeholder_is_swapped_however_it_is_escaped() -> None:
    patterns = [(query.spellings("stand-in/1"), b"a&b=/")]
    for spelling in ("stand-in/1", "stand-in%2F1", "stand%2din%2f1", "%73tand-in/%31"):
        assert query.swapped(f"a=x+y&b=<{spelling}>&c=%2B", patterns) == "a=x+y&b=<a%26b%3D%2F>&c=%2B"
    for other in ("stand-in", "stand-in%252F1", "Stand-in/1"):
        assert query.swapped(f"b={other}", patterns) == f"b={other}"


@pytest.mark.parametrize("value", [b"a;b", b"a b", b"a,b", b"a\nb", b"\xff", b"a\\b", b"\x00"])
def test_a_value_that_would_end_the_cookie_is_not_sent(value: bytes) -> None:
    if value == b"a\\b":
        assert cookie.render("sid", Secret("key", value)) == "sid=a\\b"
        return
    with pytest.raises(SecretUnavailable, match="cookie"):
        cookie.render("sid", Secret("key", value))


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ("", ""),
        ("sid=mine", ""),
        ("a=1; sid=mine; b=2", "a=1; b=2"),
        ("sid=mine;a=1", "a=1"),
        ("SID=mine; a=1", "a=1"),
        ("%73id=mine; a=1", "a=1"),
        ("a=1; x=1,sid=mine", "a=1"),
        ("a=sid; sidd=1", "a=sid; sidd=1"),
    ],
)
def test_of_the_clients_cookies_only_ours_goes(sent: str, left: str) -> None:
    assert cookie.without(sent, frozenset({"sid"})) == left
