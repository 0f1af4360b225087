"""Placeholders where they do not belong: in heads, in bodies that come in pieces, in names."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.credentials.canaries import Canaries, Watch, in_name

STAND_IN = "ghp_FAKEplaceholder/0123456789+abcd"
OTHER = "sk-ant-FAKE-placeholder-of-another-one"
CANARIES = Canaries({STAND_IN: "github", OTHER: "model"})

RAW = STAND_IN.encode()
SPELLINGS = {
    "as it is": RAW,
    "for a URL": quote(STAND_IN, safe="").encode(),
    "every character for a URL": "".join(f"%{ord(c):02X}" for c in STAND_IN).encode(),
    "for JSON": "".join(f"\\u{ord(c):04x}" for c in STAND_IN).encode(),
    "hexadecimal": RAW.hex().encode(),
    "base64": base64.b64encode(RAW),
    "base64 behind one octet": base64.b64encode(b"x" + RAW + b"yy"),
    "base64 behind two octets": base64.b64encode(b"u:" + RAW),
    "base64url": base64.urlsafe_b64encode(b"\xff\xfe" + RAW),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_found(spelling):
    assert CANARIES.in_octets(b"a=" + spelling + b"&c") == "github"


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_half_of_one_is_nothing(spelling):
    assert CANARIES.in_octets(b"a=" + spelling[: len(spelling) // 2] + b"&c") is None


def test_which_one_is_told():
    assert CANARIES.in_octets(b"x" + OTHER.encode()) == "model"


def test_inside_basic_credentials():
    value = "Basic " + base64.b64encode(f"user:{STAND_IN}".encode()).decode()
    assert CANARIES.in_head(f"GET / HTTP/1.1\r\nauthorization: {value}\r\n\r\n", value) == "github"
    assert CANARIES.in_head("GET / HTTP/1.1\r\n\r\n", None) is None


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def passed(watch: Watch, parts: list[bytes]) -> bytes:
    return b"".join(watch.feed(part, done=index == len(parts) - 1) for index, part in enumerate(parts))


@given(
    st.sampled_from(sorted(SPELLINGS.values())),
    st.binary(max_size=60),
    st.binary(max_size=60),
    st.lists(st.integers(0, 1000), max_size=12),
)
def test_wherever_a_body_is_cut_the_whole_of_it_never_passes(spelling, before, after, cuts):
    # A letter beside base64 would be another sextet of it, and a digit after an escape another character.
    body = before + b"\n" + spelling + b"\n" + after
    watch = Watch(CANARIES, lets_pass=False)
    out = passed(watch, pieces(body, cuts))
    assert watch.found == "github"
    assert body.startswith(out)
    assert spelling not in out


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=12))
def test_what_holds_none_passes_as_it_is(body, cuts):
    watch = Watch(CANARIES, lets_pass=False)
    assert passed(watch, pieces(body, cuts)) == body
    assert watch.found is None


@given(st.lists(st.integers(0, 1000), max_size=12))
def test_where_it_may_pass_nothing_is_held_back(cuts):
    watch = Watch(CANARIES, lets_pass=True)
    parts = pieces(json.dumps({"env": f"GITHUB_TOKEN={STAND_IN}"}).encode(), cuts)
    for index, part in enumerate(parts):
        assert watch.feed(part, done=index == len(parts) - 1) == part
    assert watch.found == "github"


NAMES = {STAND_IN: "github"}
PLAIN = "ghpfakeplaceholder0123456789abcd"


@pytest.mark.parametrize(
    "host",
    [
        f"{PLAIN}.evil.example",
        f"{PLAIN[:12]}.{PLAIN[12:]}.evil.example",
        f"x.{PLAIN.upper()}.wild.example",
        f"{PLAIN[:24]}.evil.example",  # the rest comes with the next name
        f"{RAW.hex()[:60]}.{RAW.hex()[60:]}.evil.example",
        f"{base64.b32encode(RAW).decode().rstrip('=').lower()}.evil.example",
    ],
)
def test_a_name_that_carries_one(host):
    assert in_name(NAMES, host) == "github"


@pytest.mark.parametrize(
    "host", ["api.github.example", "ghpfake.example", "placeholder.example", "", "a.b", "10.0.0.1"]
)
def test_a_name_that_does_not(host):
    assert in_name(NAMES, host) is None


def test_a_placeholder_without_letters_is_in_no_name():
    assert in_name({"--------": "odd"}, "api.github.example") is None
