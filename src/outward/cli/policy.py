"""``outward policy``: validate, show and edit policies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from outward.cli.declaring import Group, json_option, policy_option
from outward.cli.policy_file import default_policy_file, find_policy, load_policy
from outward.cli.saying import say
from outward.core import OutwardError, PolicyError

if TYPE_CHECKING:
    from outward.core import Rule
    from outward.policy import Policy


@click.group("policy", cls=Group)
def command() -> None:
    """Validate, show and edit policies."""


@command.command("validate")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@policy_option
@json_option
def validate(file: Path | None, policy_file: Path | None, as_json: bool) -> int:
    """Say everything that is wrong with a policy file. Exit status 2 if anything is."""
    named = file or policy_file
    try:
        policy = load_policy(_existing(named))
    except PolicyError as error:
        if not as_json:
            raise
        problems = [problem._asdict() for problem in error.problems]
        click.echo(json.dumps({"valid": False, "problems": problems}))
        return 2
    if as_json:
        click.echo(json.dumps({"valid": True, "problems": [], "warnings": policy.warnings}))
        return 0
    for warning in policy.warnings:
        say(warning)
    rules = sum(len(destination.rules) for destination in policy.destinations)
    click.echo(
        f"{policy.files[0]}: {len(policy.destinations)} destinations, {rules} rules, {len(policy.secrets)} secrets"
    )
    return 0


def _complete(_context: click.Context, _parameter: click.Parameter, beginning: str) -> list[CompletionItem]:
    """The presets whose names begin so, for the shell."""
    from outward.policy.load import preset_file, preset_names

    return [
        CompletionItem(preset, help=_first_line(preset_file(preset)))
        for preset in preset_names()
        if preset.startswith(beginning)
    ]


@command.command("show")
@click.argument("name", required=False, shell_complete=_complete)
@click.option(
    "--effective", is_flag=True, help="Print what is in force: every destination of the policy and its files."
)
@policy_option
@json_option
def show(name: str | None, effective: bool, policy_file: Path | None, as_json: bool) -> None:
    """Print a preset; without NAME list them all."""
    from outward.policy.load import preset_file, preset_names
    from outward.policy.shapes import nearest

    if effective:
        _show_effective(load_policy(policy_file), as_json=as_json)
        return
    if name is None:
        presets = {preset: _first_line(preset_file(preset)) for preset in preset_names()}
        width = max(map(len, presets)) + 2
        lines = (f"{key:<{width}}{text}" for key, text in presets.items())
        click.echo(json.dumps(presets) if as_json else "\n".join(lines))
        return
    file = preset_file(name)
    if file is None:
        raise click.BadParameter(f"there is no preset {name!r}{nearest(name, preset_names())}", param_hint="NAME")
    text = file.read_text("utf-8")
    click.echo(json.dumps({"name": name, "text": text}) if as_json else text, nl=as_json)


def _first_line(file: Path | None) -> str:
    return file.read_text("utf-8").splitlines()[0].lstrip("# ") if file is not None else ""


def _show_effective(policy: Policy, *, as_json: bool) -> None:
    documents: list[dict[str, Any]] = []
    for each in policy.destinations:
        agents = sorted(each.agents) if each.agents is not None else None
        rules = [{"name": rule.name, "action": str(rule.action), "rule": _rule_line(rule)} for rule in each.rules]
        place = {"scheme": each.scheme, "host": each.host, "port": each.port, "tls": each.tls}
        way = str(each.proxy) if each.proxy is not None else None
        secrets = [name for injection in each.inject for name in injection.secrets]
        documents.append(
            {"name": each.name, **place, "proxy": way, "agents": agents, "rules": rules, "secrets": secrets}
        )
    if as_json:
        click.echo(json.dumps(documents))
        return
    for document in documents:
        click.echo("{scheme}://{host}:{port}".format_map(document) + f"  ({document['name']})")
        for rule in document["rules"]:
            click.echo(f"  {rule['action']:<6}{rule['rule']}")
        if document["proxy"]:
            click.echo(f"  proxy: {document['proxy']}")
        for label in ("agents", "secrets"):
            if document[label]:
                click.echo(f"  {label}: {', '.join(document[label])}")


def _rule_line(rule: Rule) -> str:
    if rule.path is None:
        return "connect"
    methods = ",".join(sorted(rule.methods)) if rule.methods is not None else "*"
    query = (f"?{name}={value}" for name, value in rule.query)
    headers = (f"{name}: {value}" for name, value in rule.headers)
    captures = (f"(captures {field} as {name})" for field, name in rule.capture)
    return " ".join((methods, rule.path, *query, *headers, *captures))


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema (2020-12) of the policy file, for editors."""
    from outward.policy.fields import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@command.command("allow")
@click.argument("rule", metavar="'METHODS HOST[:PORT]/PATH'")
@click.option("--yes", is_flag=True, help="Do not ask.")
@policy_option
def allow(rule: str, yes: bool, policy_file: Path | None) -> int:
    """Add a rule that allows, keeping comments and order; shows the difference first.

    \b
      outward policy allow 'POST api.github.com/repos/acme/web/pulls'
    """
    return _edit("allow", rule, policy_file, yes=yes)


@command.command("deny")
@click.argument("rule", metavar="'METHODS HOST[:PORT]/PATH'")
@click.option("--yes", is_flag=True, help="Do not ask.")
@policy_option
def deny(rule: str, yes: bool, policy_file: Path | None) -> int:
    """Add a rule that denies, keeping comments and order; shows the difference first."""
    return _edit("deny", rule, policy_file, yes=yes)


def _existing(named: Path | None) -> Path:
    file = find_policy(named)
    if file is None:
        raise OutwardError(f"there is no policy file at {default_policy_file()}", hint="`outward init` writes one.")
    return file


def _edit(action: Any, rule: str, policy_file: Path | None, *, yes: bool) -> int:
    from outward.cli.policy_edit import edit

    return edit(_existing(policy_file), action, rule, yes=yes, interactive=_on_a_terminal())


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
