"""``outward discard``: forgets what a session changed."""

from __future__ import annotations

import sys

import click

from outward.cli.layers import choose, complete, heading, plain
from outward.cli.saying import say


@click.command("discard")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("session", required=False, shell_complete=complete)
def command(yes: bool, session: str | None) -> None:
    """Remove what a session changed and nobody has applied, for good. On a terminal it asks before.

    SESSION is as `outward run` names it, or its beginning; without it, the newest whose workspace is this directory.
    """
    layer = choose(session)
    question = f"discard {plain(heading(layer))}?"  # asked of it before it is ours: it would be said to be running
    with layer.locked():
        if not yes and sys.stdin.isatty() and not click.confirm(question, err=True):
            say("nothing was discarded")
            raise click.Abort
        layer.discard()
    click.echo(f"discarded {layer.session}")
