"""What is said to a person does nothing to the terminal it is said on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from outward.cli import verbs
from outward.cli.saying import say, say_error
from outward.core import HostError, PolicyError, Problem

if TYPE_CHECKING:
    import pytest

HOSTILE = "evil\x1b]0;owned\x07\x9b2J\u202e"
SHOWN = r"evil\x1b]0;owned\x07\x9b2J\u202e"


def test_a_name_that_is_quoted_is_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"cannot read {HOSTILE}")
    say_error(HostError(f"cannot read {HOSTILE}", hint=f"Look at {HOSTILE}."))
    said = f"outward: cannot read {SHOWN}\n"
    assert capsys.readouterr().err == f"{said}{said}  Look at {SHOWN}.\n"


def test_lines_of_our_own_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(HostError("--strict: one\ntwo", hint="Sessions:\n  a\n  b"))
    assert capsys.readouterr().err == "outward: --strict: one\ntwo\n  Sessions:\n  a\n  b\n"


def test_so_are_problems_of_a_policy(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(PolicyError([Problem(f"/{HOSTILE}", 1, 1, "", "no")]))
    assert SHOWN in capsys.readouterr().err


def test_a_list_of_commands_has_whole_sentences() -> None:
    lists = []
    for verb in verbs.VERBS:
        shown = CliRunner().invoke(verbs.cli, [verb, "--help"]).output
        lists.append(shown.partition("Commands:")[2])
        assert "Usage:" in shown
        assert "..." not in lists[-1]
    assert sum(map(bool, lists)) == 4
