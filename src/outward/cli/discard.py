"""``outward discard``: forgets what a session changed."""

from __future__ import annotations

import sys

import click

from outward.cli.layers import choose, complete, heading, plain


@click.command("discard")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("session", required=False, shell_complete=complete)
def command(yes: bool, session: str | None) -> None:
    """Remove what a session changed and nobody has applied, for good. On a terminal it asks before.

    SESSION is as `outward run` names it, or its beginning; without it, the newest whose workspace is this directory.
    """
    layer = choose(session)
    with layer.locked():
        if not yes and sys.stdin.isatty():
            click.confirm(f"discard {plain(heading(layer))}?", abort=True, err=True)
        layer.discard()
    click.echo(f"discarded {layer.session}")
