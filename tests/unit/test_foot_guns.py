"""What once went wrong, and must not come back."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src").rglob("*.py"))


def patterns(source: Path) -> list[str]:
    """The text of every regular expression that is compiled in a file."""
    found = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "re.compile",
            "re.sub",
            "re.match",
            "re.fullmatch",
        }:
            parts = [
                part for argument in node.args[:1] for part in ast.walk(argument) if isinstance(part, ast.Constant)
            ]
            found += [str(part.value) for part in parts]
    return found


def possessive(pattern: str) -> bool:
    """Whether a pattern uses ``*+``, ``++``, ``?+`` or ``(?>``, sets of characters left aside."""
    plain, in_set, escaped = "", False, False
    for character in pattern:
        if escaped:
            escaped = False
            character = "x"
        elif character == "\\":
            escaped = True
            continue
        elif character == "[" and not in_set:
            in_set = True
            continue
        elif character == "]" and in_set:
            in_set = False
            character = "x"
        if not in_set:
            plain += character
    return any(mark in plain for mark in ("*+", "++", "?+", "}+", "(?>"))


@pytest.mark.parametrize(
    ("pattern", "expected"), [("a++", True), ("(?:a)*+", True), ("[*+]+", False), (r"a\++", False)]
)
def test_possessive_quantifiers_are_found(pattern: str, expected: bool) -> None:
    assert possessive(pattern) is expected


def test_no_possessive_quantifiers() -> None:
    """Before Python 3.11.5 a group that is repeated possessively may match what it must not: a header without its end."""
    wrong = {str(source): pattern for source in SOURCES for pattern in patterns(source) if possessive(pattern)}
    assert wrong == {}
    assert sum(len(patterns(source)) for source in SOURCES) > 30


def test_the_lock_of_npm_has_hashes_and_no_addresses() -> None:
    """Whoever has a mirror must be able to use it, and nothing but what was locked."""
    lock = json.loads((Path(__file__).parents[2] / "requirements" / "npm" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
