from __future__ import annotations

import fnmatch
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.workspace.hidden import EXAMPLES, HIDDEN
from outward.workspace.patterns import Globs, Names

BUILT_IN = Names(pattern for patterns in HIDDEN.values() for pattern in patterns)
NAMES = st.text(st.sampled_from("ab.*_-K"), min_size=1, max_size=6)
PATTERNS = st.text(st.sampled_from("ab.*_-K"), min_size=1, max_size=6)


@given(patterns=st.lists(PATTERNS, max_size=5), name=NAMES)
def test_names_are_matched_as_the_shell_would_without_regard_to_case(patterns, name):
    expected = any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
    assert Names(patterns).match("/anywhere", name) is expected


@given(patterns=st.lists(st.one_of(PATTERNS, st.tuples(PATTERNS, PATTERNS).map("/".join)), max_size=5), name=NAMES)
def test_a_name_that_may_not_be_meant_is_meant_nowhere(patterns, name):
    names = Names(patterns)
    assert names.may(name) or not any(names.match(directory, name) for directory in ("/", "/ab", "/a/b.", "/K/_"))


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.production",
        "prod.env",
        "deploy/ID_RSA",
        ".ssh",
        "certs/server.key",
        ".aws",
        "home/.docker/config.json",
        ".config/gcloud",
        ".cargo/credentials.toml",
        "service-account-prod.json",
        "x-firebase-adminsdk-1.json",
        "terraform.tfstate",
        ".kube",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
    ],
)
def test_the_built_in_list_knows(path):
    pure = PurePosixPath("/w") / path
    assert BUILT_IN.match(str(pure.parent), pure.name)


@pytest.mark.parametrize(
    "path",
    [
        "environment.py",
        "src/env",
        "id_rsa.pub",
        "keys.py",
        "config.json",
        "docker/config.json",
        "README.md",
        "package.json",
    ],
)
def test_the_built_in_list_leaves(path):
    pure = PurePosixPath("/w") / path
    assert not BUILT_IN.match(str(pure.parent), pure.name)


def test_examples_are_examples_of_what_is_hidden():
    assert all(BUILT_IN.match("/w", name.replace("*", "x")) for name in EXAMPLES)


@pytest.mark.parametrize(
    ("pattern", "matches", "not_matches"),
    [
        ("secrets/**", ["secrets", "secrets/a", "secrets/a/b"], ["a/secrets", "secretsx", "secrets.md"]),
        ("*.txt", ["a.txt", "deep/er/a.txt"], ["a.txtx", "txt"]),
        ("docs/*.md", ["docs/a.md"], ["docs/x/a.md", "x/docs/a.md"]),
        ("**/private", ["private", "a/b/private"], ["a/privately"]),
        ("a?c", ["abc", "x/abc"], ["a/c", "ac"]),
        ("./top", ["top"], ["topless"]),
        ("dir/", ["dir", "x/dir"], ["dirx"]),
        ("(a|b)+.c", ["(a|b)+.c"], ["a.c"]),
    ],
)
def test_globs(pattern, matches, not_matches):
    globs = Globs([pattern])
    assert [path for path in matches if not globs.match(path)] == []
    assert [path for path in not_matches if globs.match(path)] == []


@given(path=st.text(min_size=1))
def test_an_empty_list_matches_nothing(path):
    assert not Globs([]).match(path)
    assert not Names([]).match("/", path)
