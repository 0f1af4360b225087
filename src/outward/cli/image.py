"""``outward image``: what containers bring, built without a registry."""

from __future__ import annotations

import os
import sys

import click

from outward.backends.containers.image import build
from outward.cli.home import state_directory
from outward.cli.summary import printable


@click.group("image")
def command() -> None:
    """Images for --backend docker and podman; without one, they show this machine's programs."""


@command.command("build")
@click.option(
    "--engine", type=click.Choice(["docker", "podman"]), default="docker", help="Whose image; docker's otherwise."
)
@click.option("--package", "packages", metavar="NAME", multiple=True, help="One more package; may be repeated.")
def build_(engine: str, packages: tuple[str, ...]) -> int:
    """Build the image `outward:latest` from this machine's package sources (Debian, Ubuntu).

    Takes a minute or two; the result is kept below the state directory, and taken from there when nothing has changed.

    \b
      outward image build --engine podman --package golang
      outward run --backend podman --image outward:latest -- go test ./...
    """
    name = build(engine, packages, state_directory() / "images", os.environ, _watch)
    click.echo(f"{name} is there: outward run --backend {engine} --image {name} -- CMD")
    return 0


def _watch(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"outward: {printable(line)}", err=True)
