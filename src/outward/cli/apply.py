"""``outward apply``: takes a session's changes over into the workspace."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from outward.cli.layers import choose, complete, plain
from outward.core import OutwardError
from outward.workspace.applying import Chosen, apply
from outward.workspace.changes import changes

if TYPE_CHECKING:
    from outward.workspace.layer import Layer

EXIT_LEFT: Final = 1

_SESSION: Final = re.compile(r"[0-9]{8}T")


@click.command("apply")
@click.option("--suspicious", is_flag=True, help="Also what should be looked at twice, where it is not named.")
@click.option("--overwrite", is_flag=True, help="Also what was changed in the workspace since the session began.")
@click.argument("session", required=False, shell_complete=complete)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
def command(suspicious: bool, overwrite: bool, session: str | None, paths: tuple[str, ...]) -> int:
    """Take over what a session changed: all of it, or the files and directories that are named.

    A first word that is no session is a path of the newest session whose workspace is this directory. What is suspicious is
    applied only where it is named itself. Exit status 1 if something was left. An interrupted run leaves each file old or
    new, and can be repeated.

    \b
      outward apply
      outward apply src/main.py .github/workflows/test.yml
    """
    layer, paths = _meant(session, paths)
    chosen = Chosen(tuple(_in_workspace(path, layer) for path in paths), suspicious, overwrite)
    applied, left = 0, 0
    with layer.locked():
        found = changes(layer)
        for path in chosen.paths:
            if not any(change.path == path or change.path.startswith(f"{path}/") for change in found):
                raise OutwardError(f"the session {layer.session} did not change {plain(path)}")
        for result in apply(layer, found, chosen):
            if result.left:
                left += 1
                click.echo(f"left: {plain(result.change.path)}: {plain(result.left)}", err=True)
            else:
                applied += 1
        done = not changes(layer)
        if done:
            layer.discard()
    click.echo(f"{applied} applied, {left} left" + ("" if done else f"; the rest: outward review {layer.session}"))
    if left:
        click.echo("  Name a file to apply it although it is suspicious; --overwrite is for conflicts.", err=True)
    return EXIT_LEFT if left else 0


def _meant(session: str | None, paths: tuple[str, ...]) -> tuple[Layer, tuple[str, ...]]:
    if session is None or _SESSION.match(session):
        return choose(session), paths
    return choose(None), (session, *paths)


def _in_workspace(path: str, layer: Layer) -> str:
    """The path relative to the workspace. Links are not followed: the last of its names may be one."""
    whole = Path(os.path.normpath(Path.cwd().resolve() / path))
    if not whole.is_relative_to(layer.workspace):
        whole = Path(os.path.normpath(Path(layer.workspace) / path))
    if not whole.is_relative_to(layer.workspace) or whole == Path(layer.workspace):
        raise OutwardError(f"{plain(path)} is not in the workspace {layer.workspace}")
    return str(whole.relative_to(layer.workspace))
