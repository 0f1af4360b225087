"""What is read plainly is what the declaration of the options reads; what is not, is left to it."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.cli import run
from outward.cli.arguments import Arguments, read_plainly

WORDS = st.lists(
    st.sampled_from(
        [
            *(option for parameter in run.command.params for option in parameter.opts if option != "words"),
            *(
                "docker",
                "none",
                "write",
                "review",
                "90s",
                "0s",
                "1h",
                "5",
                "x",
                ".",
                "/",
                "/nowhere",
                "",
                "-",
                "--",
                "-h",
            ),
            *("--help", "--strict=1", "--mode=read", "--mod", "-q", "claude", "-p", "a b", "é", "\udce9"),
        ]
    ),
    max_size=8,
)


def declared(argv: list[str]) -> Arguments | None:
    """What click makes of it; nothing where it has something to say."""
    try:
        context = run.command.make_context("run", list(argv))
    except (click.ClickException, click.exceptions.Exit):
        return None
    return Arguments(**context.params)


@given(WORDS)
def test_both_ways_read_the_same(argv):
    plain = read_plainly(argv)
    assert plain is None or plain == declared(argv)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["claude"], Arguments(("claude",))),
        (["--", "npm", "test", "--", "-x"], Arguments(("npm", "test", "--", "-x"))),
        (["--quiet", "--timeout", "15m", "sh", "--strict"], Arguments(("sh", "--strict"), timeout=900.0, quiet=True)),
        (["--mode", "read", "--mode", "review", "true"], Arguments(("true",), mode="review")),
        (
            ["--backend", "none", "--i-understand-there-is-no-sandbox", "true"],
            Arguments(("true",), backend="none", i_understand_there_is_no_sandbox=True),
        ),
    ],
)
def test_without_doubt(argv, expected):
    assert read_plainly(argv) == expected == declared(argv)


@pytest.mark.parametrize(
    "argv",
    [
        [], ["--"], ["--help"], ["--mode"], ["--mode", "wirte", "true"], ["--backend", "vmware", "true"],
        ["--agent", "a b", "true"], ["--timeout", "0s", "true"], ["--workspace", "/etc/passwd", "true"],
        ["--workspace", "/nowhere", "true"], ["--policy", "/etc", "true"], ["--policy", "--", "true"], ["--strikt", "true"],
        ["--mode=read", "true"],
    ],
)  # fmt: skip
def test_with_doubt_nothing_is_read(argv):
    assert read_plainly(argv) is None


def test_every_option_is_one_of_the_arguments():
    assert {parameter.name for parameter in run.command.params} == set(Arguments._fields)
