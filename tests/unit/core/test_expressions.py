"""Expressions that are compiled late: each of them can be, and does what Python's own does."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import outward
from outward.core.expressions import expression

PACKAGE = Path(outward.__file__).parent


def named() -> list[tuple[str, str]]:
    """Module and name of every expression in the package."""
    return [
        (".".join(("outward", *file.relative_to(PACKAGE).with_suffix("").parts)), ast.unparse(node.target))
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "expression"
    ]


def test_each_can_be_compiled():
    assert len(named()) > 20
    for module, name in named():
        assert getattr(import_module(module), name).flags is not None, f"{module}.{name}"


def test_the_methods_are_those_of_python():
    late, own = expression("a(.)", re.DOTALL), re.compile("a(.)", re.DOTALL)
    assert late.pattern == own.pattern
    assert late.flags == own.flags
    assert late.sub(r"<\1>", "xab a\n") == own.sub(r"<\1>", "xab a\n")
    assert late.fullmatch("a\n")
    assert not late.match("b")
    assert [each[0] for each in late.finditer("abac")] == ["ab", "ac"]


def test_it_is_compiled_once(monkeypatch):
    late = expression(b"[a-z]+")
    assert late.search(b"1x")
    monkeypatch.setattr(re, "compile", None)
    assert late.match(b"abc")


def test_what_is_no_expression_fails_when_it_is_used():
    late = expression("(")
    with pytest.raises(re.error):
        late.match("")


def test_what_python_has_not_is_not_there():
    with pytest.raises(AttributeError):
        expression("a").fully  # type: ignore[attr-defined]  # noqa: B018
