"""``outward run``: a command in the sandbox, whose only way out is the gateway. What it understands, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from outward.cli.arguments import BACKENDS, MODES, Arguments, agent_name, seconds
from outward.cli.declaring import policy_option
from outward.cli.starting import start


def _agent(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and agent_name(value) is None:
        raise click.BadParameter("a name has letters, digits, - and _")
    return value


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if (time := seconds(value)) is None:
        raise click.BadParameter(f"{value!r} is not a time like 90s, 15m or 2h")
    return time


@click.command("run", context_settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS] [--]")
@policy_option
@click.option("--backend", type=click.Choice(BACKENDS), help="What confines the processes; otherwise the policy says.")
@click.option("--image", metavar="NAME", help="An image's programs in place of this machine's; not with bubblewrap.")
@click.option("--runtime", metavar="NAME", help="docker: the daemon's runtime for the command, as runsc (gVisor).")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="The directory to work in; otherwise this one.",
)
@click.option("--mode", type=click.Choice(MODES), help="What may happen to its files; otherwise the policy says.")
@click.option("--agent", metavar="NAME", callback=_agent, help="Who it is, in the policy and the journal.")
@click.option("--timeout", metavar="T", callback=_seconds, help="End the command after T (90s, 15m, 2h): status 124.")
@click.option("--strict", is_flag=True, help="Start nothing where a limit of the policy cannot be enforced.")
@click.option("--i-understand-there-is-no-sandbox", is_flag=True, help="With --backend none: a plain process.")
@click.option("--debug", is_flag=True, help="Say on standard error what goes through; never a secret.")
@click.option("--quiet", is_flag=True, help="No summary at the end.")
@click.option("--dry-run", is_flag=True, help="Print the steps, in order, and start nothing.")
@click.argument("words", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(**arguments: Any) -> int:
    """Run a command in the sandbox; its only way out is the gateway.

    The exit status is the command's (128+N for signal N); 125 when the sandbox could not be set up, 126 and 127 when the
    command cannot be executed or found inside.

    \b
      outward run claude
      outward run --policy ci.yaml --mode read --timeout 15m -- npm test
    """
    return start(Arguments(**arguments))
