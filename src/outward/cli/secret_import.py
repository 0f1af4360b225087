"""``outward secret import``: a log-in that exists outside, for use inside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from outward.agents.logins import LOG_INS, remember
from outward.cli.asking import with_store
from outward.cli.home import state_directory
from outward.core import HostError
from outward.credentials.captured import Captured, entry_of
from outward.credentials.local.place import home_directory
from outward.credentials.local.store import LocalStore
from outward.policy.secret_fields import NAME


@click.command("import", short_help="Bring an agent's log-in into its sandbox, as placeholders.")
@click.argument("program", type=click.Choice(sorted(LOG_INS)))
@click.option(
    "--from", "source", type=click.Path(path_type=Path, dir_okay=False), help="The file; default: the program's own."
)
@click.option("--agent", help="The agent's identity; default: the program's name.")
def import_command(program: str, source: Path | None, agent: str | None) -> None:
    """Take the log-in of PROGRAM on this machine (~/.claude/.credentials.json, ~/.codex/auth.json) into its sandbox.

    The tokens go into the local store; the sandbox's home gets the same file with placeholders, unless it has one. Needs
    the preset claude-subscription or codex-subscription. From the first refresh inside, the log-in outside may be worth nothing:
    services replace refresh tokens with each use.
    """
    import re

    agent = agent or program
    if not re.fullmatch(str(NAME.pattern), agent):
        raise click.BadParameter(f"{agent!r} is not {NAME.accepted}", param_hint="--agent")
    log_in, environment = LOG_INS[program], dict(os.environ)
    file = source or home_directory(environment) / log_in.path
    document = _document(file)
    try:
        tokens = log_in.found(document)
    except HostError as error:
        raise HostError(f"{file}: {error.message}", hint=error.hint) from None
    captured = Captured(environment, lambda _: None)

    async def keep() -> dict[str, str]:
        await captured.load()
        return await captured.keep(agent, tokens.items())

    stand_ins = with_store(LocalStore(environment), environment, keep)
    remember(state_directory(), agent, program, log_in.inside(document, stand_ins))
    for name in tokens:
        click.echo(f"{entry_of(agent, name)} is kept; the sandbox of {agent} has a placeholder")
    click.echo(f"in the policy: use: [{log_in.preset}]")


def _document(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise HostError(
            f"cannot read {file}: {error.strerror}", hint="Log in there first, or name the file: --from"
        ) from error
    except (ValueError, RecursionError):
        raise HostError(f"{file} is no JSON") from None
