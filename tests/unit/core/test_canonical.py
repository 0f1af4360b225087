"""Canonical forms: tables of examples, and the laws that hold for everything."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outward.core import (
    ClientError,
    canonical_authority,
    canonical_host,
    canonical_path,
    canonical_query,
    fold_path,
    path_readings,
)

HOSTS = {
    "api.example.com": "api.example.com",
    "API.Example.COM": "api.example.com",
    "api.example.com.": "api.example.com",
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.example.": "xn--bcher-kva.example",
    "a_b.example": "a_b.example",
    "a\uff0eb\u3002": "a.b",  # full-width dots are dots to IDNA
    "127.0.0.1": "127.0.0.1",
    "[::1]": "::1",
    "[0:0:0:0:0:0:0:1]": "::1",
    "::FFFF:1.2.3.4": "::ffff:1.2.3.4",
    "::ffff:102:304": "::ffff:1.2.3.4",
}

NO_HOSTS = [
    "",
    ".",
    "a..b",
    ".a.example",
    "a.example..",
    "evil\0.good.example",
    "a b.example",
    "a/b.example",
    "a@b.example",
    "a%2eb.example",
    "-a.example",
    "x" * 64 + ".example",
    ".".join(["abcdefgh"] * 30),
    "127.1",
    "0x7f000001",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "1.2.3.4.5",
    "example.1",
    "[fe80::1%eth0]",
    "[::1",
    "::1]",
    "[v1.x]",
    "exa\nmple.com",
]


@pytest.mark.parametrize(("text", "host"), HOSTS.items())
def test_hosts_have_one_form(text, host):
    assert canonical_host(text) == host


@pytest.mark.parametrize("text", NO_HOSTS)
def test_what_is_not_exactly_one_host_is_refused(text):
    with pytest.raises(ClientError):
        canonical_host(text)


@given(st.text(max_size=40))
def test_a_canonical_host_is_a_fixed_point(text):
    try:
        host = canonical_host(text)
    except ClientError:
        return
    assert canonical_host(host) == host
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")


@pytest.mark.parametrize(
    ("text", "default", "expected"),
    [
        ("a.example", 443, ("a.example", 443)),
        ("a.example:8443", 443, ("a.example", 8443)),
        ("[::1]:80", 443, ("::1", 80)),
        ("[::1]", 443, ("::1", 443)),
        ("A.example.:00443", 80, ("a.example", 443)),
    ],
)
def test_authorities(text, default, expected):
    assert canonical_authority(text, default) == expected


@pytest.mark.parametrize(
    "text",
    ["u@a.example", "a.example:", "a.example:0", "a.example:65536", "a.example:+1", "a.example:1:2", "[::1]x", "::1"],
)
def test_authorities_with_two_readings_are_refused(text):
    with pytest.raises(ClientError):
        canonical_authority(text, 443)


def test_connect_must_name_its_port():
    with pytest.raises(ClientError):
        canonical_authority("a.example", None)


PATHS = {
    "/": "/",
    "/a/b": "/a/b",
    "/a/../b": "/b",
    "/a/./b/.": "/a/b/",
    "/..": "/",
    "/%61%2D": "/a-",
    "/%7euser": "/~user",
    "/a%2fb": "/a%2Fb",
    "/a%5cb": "/a%5Cb",
    "/%e2%82%ac": "/%E2%82%AC",
    "/\xe9": "/%E9",
    "/a//b": "/a//b",
    "/%2e%2e/b": "/b",
    '/a"b': "/a%22b",
    "/a%20b": "/a%20b",
}

NO_PATHS = [
    "",
    "a",
    "*",
    "/a\\b",
    "/a%00b",
    "/a%0ab",
    "/a%7fb",
    "/a\0b",
    "/a b",
    "/a?b",
    "/a#b",
    "/a%",
    "/a%2",
    "/a%zz",
    "/a%252fb",
    "/a%252e%252e/b",
    "/a%2500",
    "/a%250ab",
    "/a/..%2fb",
    "/a/..%5cb",
    "/a%2f../b",
    "/a/..;/b",
    "/a/..%3bx/b",
    "/a/.;x/b",
    "/%252525",
]


@pytest.mark.parametrize(("text", "path"), PATHS.items())
def test_paths_have_one_form(text, path):
    assert canonical_path(text).path == path


@pytest.mark.parametrize("text", NO_PATHS)
def test_paths_with_two_readings_are_refused(text):
    with pytest.raises(ClientError):
        canonical_path(text)


FOLDED = {
    "/Gists": "/gists",
    "/v1/models/x%3AgenerateContent": "/v1/models/x:generatecontent",
    "/%40scope%2fpkg": "/@scope/pkg",
    "/a%5Cb": "/a/b",
    "/a//b": "/a/b",
    "/a;v=1/b;c": "/a/b",
    "/a%3Bv=1/b": "/a/b",
    "/gist%2573": "/gists",
    "/%C3%89": "/%c3%89",
}


@pytest.mark.parametrize(("text", "folded"), FOLDED.items())
def test_spellings_that_a_careless_server_takes_for_one_fold_to_one(text, folded):
    assert canonical_path(text).folded == folded


READINGS = {
    "/a/b": {"/a/b"},
    "/A": {"/a"},
    "/a%3Ab": {"/a%3Ab", "/a:b"},
    "/a;v/b": {"/a;v/b", "/a/b"},
    "/A%2Fb": {"/A%2Fb", "/a%2fb", "/a/b"},
    "/a%5Cb;v": {"/a%5Cb;v", "/a%5cb;v", "/a%5cb", "/a/b;v", "/a/b"},
    "/a//b": {"/a//b", "/a/b"},
}


@pytest.mark.parametrize(("path", "readings"), READINGS.items())
def test_readings(path, readings):
    assert path_readings(path) == readings


path_texts = st.lists(
    st.one_of(
        st.sampled_from(["/", ".", "..", ";", "%2f", "%2e", "%5c", "%25", "%3b", "%41", "a", "B", "*"]), st.characters()
    ),
    max_size=12,
).map(lambda parts: "/" + "".join(parts))


@example("/\ud800")
@given(path_texts)
def test_a_canonical_path_is_a_fixed_point_and_has_no_dot_segment_under_any_reading(text):
    try:
        path, folded = canonical_path(text)
    except ClientError:
        return
    assert canonical_path(path) == (path, folded)
    assert fold_path(folded) == folded
    assert path.isascii()
    assert path.startswith("/")
    for reading in (path, folded, path.replace("%2F", "/").replace("%5C", "/")):
        assert not {".", ".."} & {segment.partition(";")[0] for segment in reading.split("/")}


@given(st.text("abcXYZ019-._~!$&'()*+,;=:@", min_size=1, max_size=12))
def test_escaping_never_changes_what_is_folded(segment):
    try:
        plain = canonical_path(f"/x{segment}").folded
    except ClientError:
        return
    escaped = "".join(f"%{ord(character):02x}" for character in segment)
    assert canonical_path(f"/x{escaped}").folded == plain


@pytest.mark.parametrize("query", ["", "a=b&c", "a[]=%20+", "a=/?:@", "'\"<>"])
def test_queries_are_sent_as_they_are(query):
    assert canonical_query(query) == query


@pytest.mark.parametrize("query", ["a b", "a#b", "a\\b", "a\nb", "a\0", "é", "\x7f"])
def test_queries_that_servers_read_differently_are_refused(query):
    with pytest.raises(ClientError):
        canonical_query(query)
