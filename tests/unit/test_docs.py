"""What the documents say is what the program does."""

from __future__ import annotations

import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from outward.cli.verbs import VERBS, cli
from outward.policy import load, read_text

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def fences(document: Path, *languages: str) -> list[str]:
    return [textwrap.dedent(body) for language, body in FENCE.findall(document.read_text()) if language in languages]


def commands() -> list[tuple[str, str]]:
    """Every command line of the documents that calls outward."""
    found = []
    for document in DOCUMENTS:
        for body in fences(document, "sh", "bash", "console", ""):
            for line in body.replace("\\\n", " ").splitlines():
                match = re.search(r"\$\((outward [^)]*)\)", line) or re.match(r"\s*(?:\$ )?(outward [a-z].*)", line)
                if match:
                    found.append((document.name, match[1].removesuffix("&").strip()))
    return found


@pytest.mark.parametrize(("document", "line"), commands())
def test_every_command_of_the_documents_exists(document: str, line: str) -> None:
    """The verb is there, and takes every option that is shown."""
    words = shlex.split(line, comments=True)
    command: click.Command = cli
    context = click.Context(cli)
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest.pop(0))
        assert found is not None, line
        command = found
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in rest:
        if word == "--":
            break
        if word.startswith("--"):
            assert word.partition("=")[0] in known, line


def test_the_commands_were_found() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_and_is_documented(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    assert any(f"outward {verb}" in document.read_text() for document in DOCUMENTS)


def test_the_policy_of_the_readme_loads() -> None:
    class Registries:
        def urls(self, client: str) -> tuple[str, ...]:
            return (f"https://{client}.registry.example/",)

        def variables(self, client: str) -> dict[str, str]:
            return {}

    (example,) = fences(ROOT / "README.md", "yaml")
    file = Path("/etc/outward/policy.yaml")
    policy = load(
        file,
        registries=Registries(),
        home=Path("/home/user"),
        files=lambda path: example if path == file else read_text(path),
    )
    assert {"api.github.com", "api.anthropic.com"} <= {destination.host for destination in policy.destinations}


def test_every_document_is_reachable_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for document in (ROOT / "docs").rglob("*.md"):
        assert str(document.relative_to(ROOT)) in readme


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_locked_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements" / "runtime.in").read_text().splitlines()
    assert sorted(project["dependencies"]) == sorted(line for line in lines if line and not line.startswith("#"))


def test_make_help_names_every_target_that_a_person_types() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("setup", "demo", "test", "check", "bench"):
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
