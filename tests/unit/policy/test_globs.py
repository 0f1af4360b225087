"""Globs: examples, and both implementations against regular expressions written from the contract."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.policy.globs import Glob, SegmentGlob, canonical_glob, folded_glob
from outward.policy.trie import PathTrie

MATCHES = {
    "/a": (["/a"], ["/", "/a/", "/A", "/ab", "/a/b"]),
    "/a/*": (["/a/b", "/a/", "/a/%20"], ["/a", "/a/b/c", "/a/b%2Fc", "/a/b%5Cc", "/a/%2F"]),
    "/a/**": (["/a", "/a/", "/a/b", "/a/b/c", "/a/b%2Fc"], ["/ab", "/a%2Fb", "/b"]),
    "/**": (["/", "/a", "/a/b", "/%2F"], []),
    "/a/**/z": (["/a/b/z", "/a/b/c/z", "/a//z", "/a/b%2Fc/z"], ["/a/z", "/a/b/c", "/a%2Fb/z"]),
    "/a/*/z": (["/a/b/z"], ["/a/z", "/a/b/c/z", "/a/b%2Fc/z"]),
    "/a/*.json": (["/a/x.json", "/a/.json"], ["/a/x.js", "/a/x/y.json", "/a/x%2Fy.json"]),
    "/a/x%2Fy": (["/a/x%2Fy"], ["/a/x/y", "/a/xy"]),
    "/a/x%2F*": (["/a/x%2Fy"], ["/a/x%2Fy%2Fz", "/a/x/y"]),
    "/**.git/info": (["/o/r.git/info", "/r.git/info", "/a%2Fr.git/info"], ["/o/r.gitx/info", "/o/r/info"]),
    "/a**": (["/a", "/ab", "/a/b", "/a%2Fb"], ["/b"]),
    "/m/*:go": (["/m/x:go"], ["/m/x:stop", "/m/x/y:go"]),
    "/a/*b*c": (["/a/bc", "/a/xbxc", "/a/bbcc"], ["/a/cb", "/a/b%2Fc", "/a/b"]),
    "/a.b": (["/a.b"], ["/axb"]),
}

CASES = [
    (pattern, path, expected)
    for pattern, (yes, no) in MATCHES.items()
    for expected, paths in ((True, yes), (False, no))
    for path in paths
]


@pytest.mark.parametrize(("pattern", "path", "expected"), CASES)
def test_examples(pattern, path, expected):
    assert Glob(pattern).matches(path) is expected
    assert bool(trie_of(pattern).find(path)) is expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/a/*", "/a/b%2Fc"), ("/a/*/z", "/a/b%2Fc/z"), ("/a/*.json", "/a/x%2Fy.json"), ("/a/*", "/a/%5C")],
)
def test_a_star_runs_over_an_encoded_slash_only_in_rules_that_restrict(pattern, path):
    assert Glob(pattern, wide=True).matches(path)
    assert trie_of(pattern, wide=True).find(path)
    assert not Glob(pattern).matches(path)
    assert not trie_of(pattern).find(path)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("/%61/%7e", "/a/~"),
        ("/a/***/b", "/a/**/b"),
        ("/é", "/%C3%A9"),
        ("/a%2fb", "/a%2Fb"),
        ("/a/../b", "/b"),
        ("/%2A", "/%2A"),
    ],
)
def test_patterns_are_brought_into_the_form_of_paths(text, pattern):
    assert canonical_glob(text) == pattern


@pytest.mark.parametrize("text", ["", "a", "*", "**", "/a b", "/a\\b", "/%zz", "/a/..;/b", "/a%252f"])
def test_patterns_that_no_path_can_have_are_refused(text):
    with pytest.raises(ClientError):
        canonical_glob(text)


def trie_of(*patterns: str, wide: bool = False) -> PathTrie[str]:
    trie: PathTrie[str] = PathTrie(wide=wide)
    for pattern in patterns:
        trie.leaf(pattern, pattern)
    return trie


def reference(pattern: str, *, wide: bool = False) -> re.Pattern[str]:
    """The glob as the contract says it, as a regular expression (which takes too long for some paths to be used)."""
    star = "[^/]*" if wide else "(?:(?!%2F|%5C)[^/])*"
    end = "(?:/.*)?" if pattern.endswith("/**") else ""
    pieces = re.split(r"(\*\*|\*)", pattern.removesuffix("/**") if end else pattern)
    body = "".join({"*": star, "**": ".*"}.get(piece, re.escape(piece)) for piece in pieces)
    return re.compile(body + end, re.DOTALL)


segments = st.lists(st.sampled_from(["a", "b", "", ".", "%2F", "%5C", "%20", "F", "2"]), max_size=3).map("".join)
globs = st.lists(
    st.sampled_from(["a", "b", "*", "**", "", "%2F", "%20", "*b", "a*", "a**", "2F", "*2F", "*a*b"]), max_size=3
)
paths = st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
patterns = st.lists(globs.map("".join), min_size=1, max_size=4).map(
    lambda parts: re.sub(r"\*{2,}", "**", "/" + "/".join(parts))
)


@given(patterns, paths, st.booleans())
def test_every_implementation_agrees_with_the_contract(pattern, path, wide):
    expected = reference(pattern, wide=wide).fullmatch(path) is not None
    assert Glob(pattern, wide=wide).matches(path) is expected
    assert bool(trie_of(pattern, wide=wide).find(path)) is expected


@given(st.lists(patterns, max_size=6), paths, st.booleans())
def test_a_trie_finds_exactly_the_patterns_that_cover_the_path(many, path, wide):
    found = set(trie_of(*many, wide=wide).find(path))
    assert found == {pattern for pattern in many if Glob(pattern, wide=wide).matches(path)}


UNITS = ["a", "b", "/", "%2F"]
SHORT_PATHS = ["/" + "".join(units) for length in range(6) for units in itertools.product(UNITS, repeat=length)]
short_patterns = st.lists(st.sampled_from([*UNITS, "*", "**"]), max_size=3).map(
    lambda items: re.sub(r"\*{2,}", "**", "/" + "".join(items))
)


@given(short_patterns, short_patterns)
def test_patterns_meet_exactly_if_some_path_is_covered_by_both(one, two):
    a, b = reference(one), reference(two)
    expected = any(a.fullmatch(path) and b.fullmatch(path) for path in SHORT_PATHS)
    assert Glob(one).meets(Glob(two)) is expected
    assert Glob(two).meets(Glob(one)) is expected


@pytest.mark.parametrize(("one", "two"), [("/a/*", "/b/*"), ("/a/*", "/a/x%2Fy"), ("/a", "/a/*"), ("/*b", "/*c")])
def test_patterns_without_a_common_path_do_not_meet(one, two):
    assert not Glob(one).meets(Glob(two))


@given(st.sampled_from(["a*", "*a", "a*b", "*a*", "*2F", "a*%2F*b", "*%20", "*ab*a*"]), segments, st.booleans())
def test_a_segment_glob_is_a_glob(pattern, segment, wide):
    assert SegmentGlob(pattern, wide=wide).matches(segment) is Glob(pattern, wide=wide).matches(segment)


def test_a_hostile_path_costs_no_more_than_its_length():
    """Each of these takes a backtracking matcher longer than the age of the universe."""
    path = "/" + "a/" * 4000 + "a" * 4000
    pattern = "/**/a/**/a/**/a/**/a/**/a/**/b"
    assert not trie_of(pattern).find(path)
    assert not trie_of("/**a**a**a**a**a**b").find(path)
    assert not trie_of("/**/*a*a*a*a*a*a*b").find(path)


def test_folded_patterns_cover_folded_paths():
    assert folded_glob("/Repos/%40x%2Fy/**") == "/repos/@x/y/**"
