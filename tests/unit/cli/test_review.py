"""How changes are listed."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from outward.cli.verbs import cli
from outward.workspace.kept import Masked
from outward.workspace.layer import Layer, create


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layer:
    home, workspace = Path(os.environ["OUTWARD_HOME"]), tmp_path / "work"
    home.mkdir(mode=0o700)
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    return create(home / "layers", "20260101T000000-00000000", str(workspace), "agent", ["sh"], Masked((), ()))


def upper(layer: Layer, name: str, text: str = "text\n") -> None:
    file = layer.directory / "upper" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def outward(*words: str) -> str:
    return CliRunner().invoke(cli, words).output


def test_many_new_files_are_one_line_but_for_what_is_suspicious(layer):
    for number in range(101):
        upper(layer, f"node_modules/some/file{number}.js")
    upper(layer, "node_modules/some/.vscode/tasks.json")
    upper(layer, "few/file.js")
    listed = outward("review", "--list")
    assert "  A  node_modules/  (101 new files; --all shows them)\n" in listed
    assert "! A  node_modules/some/.vscode/tasks.json\n" in listed
    assert "  A  few/file.js\n" in listed
    assert "file7.js" not in listed
    assert "node_modules/some/file7.js\n" in outward("review", "--all", "--list")


def test_numbers_of_lines(layer):
    upper(layer, "new.txt", "one\ntwo\n")
    assert outward("review", "--stat").split()[-3:] == ["new.txt", "+2", "-0"]


def test_a_name_cannot_steer_the_terminal(layer):
    upper(layer, "a\x1b[2J\nb\u202e")
    assert "  A  a\\x1b[2J\\nb\\u202e\n" in outward("review")


def test_the_beginning_of_a_session_will_do_and_the_shell_completes_it(layer):
    upper(layer, "new.txt")
    assert "new.txt" in outward("review", "20260101")
    completed = CliRunner().invoke(
        cli,
        env={"_OUTWARD_COMPLETE": "bash_complete", "COMP_WORDS": "outward discard 2026", "COMP_CWORD": "2"},
        prog_name="outward",
    )
    assert completed.output == "plain,20260101T000000-00000000\n"


@pytest.mark.parametrize("answer", [False, True])
def test_discard_asks_about_a_session_that_has_ended(layer, monkeypatch, capsys, answer: bool):
    upper(layer, "new.txt")
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(click, "confirm", confirm)
    with nullcontext() if answer else pytest.raises(click.Abort):
        cli.main(["discard"], standalone_mode=False)
    assert layer.session in asked[0]
    assert "running" not in asked[0]
    assert layer.directory.exists() is not answer
    assert ("nothing was discarded" in capsys.readouterr().err) is not answer


def test_a_layer_with_nothing_left_says_so(layer):
    assert "nothing is left to apply" in outward("review", layer.session)


def test_what_is_applied_is_gone_from_the_list(layer):
    upper(layer, "one")
    upper(layer, "two")
    assert "1 applied, 0 left; the rest: outward review 2026" in outward("apply", "one")
    listed = outward("review", "--list")
    assert "A  one" not in listed
    assert "A  two" in listed
    assert outward("apply") == "1 applied, 0 left\n"
    assert not layer.directory.exists()


def test_the_newest_session_that_changed_something_is_meant(layer, tmp_path):
    upper(layer, "one")
    later = create(layer.directory.parent, "20270101T000000-00000000", layer.workspace, "agent", ["sh"], Masked((), ()))
    assert "A  one" in outward("review")
    upper(later, "two")
    assert "A  two" in outward("review")
    assert "further sessions changed this workspace: 20260101T000000-00000000\n" in outward("review")
