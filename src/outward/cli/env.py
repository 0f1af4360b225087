"""``outward env``: the variables that make a client outside a sandbox use a running gateway."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Final

import click

from outward.cli.home import state_directory
from outward.core import HostError
from outward.pki import Authority, proxy_variables, trust_file_variables, trust_files, trust_variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WRITTEN_AS: Final[dict[str, Callable[[dict[str, str]], str]]] = {
    # How each shell takes variables.
    "sh": lambda values: "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items()),
    "fish": lambda values: "\n".join(f"set -gx {name} {_fish(value)}" for name, value in values.items()),
    "json": lambda values: json.dumps(values, indent=2),
}
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 (recognised, not bound)
_HINT: Final = "Start one with `outward serve --listen 127.0.0.1:8080`, or say where it is with --proxy."


@click.command("env")
@click.option(
    "--shell", type=click.Choice(list(_WRITTEN_AS)), default="sh", show_default=True, help="Form of the output."
)
@click.option("--proxy", metavar="URL", help="The gateway, by default the one that `outward serve` runs.")
def command(shell: str, proxy: str | None) -> None:
    """Print the variables that make a client use a running gateway and trust its certificates.

    \b
      eval "$(outward env)"
      outward env --shell fish | source
    """
    state = state_directory()
    url = proxy or f"http://{_announced(state / 'serve.json')}"
    authority = Authority.open(state / "pki")
    bundle = str(authority.bundle_file)
    directory = state / "clients"
    _write_files(directory, trust_files(bundle))
    values = (
        proxy_variables(url)
        | trust_variables(bundle, str(authority.certificate_file))
        | trust_file_variables(str(directory))
    )
    click.echo(_WRITTEN_AS[shell](values))


def _announced(file: Path) -> str:
    """The first TCP address of an explicit proxy of the running ``outward serve``; it writes them to ``file``."""
    try:
        running = json.loads(file.read_bytes())
        addresses = [str(address) for address in running["proxies"] if not str(address).startswith("unix:")]
        os.kill(int(running["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        raise HostError("no gateway is running for this state directory", hint=_HINT) from None
    if not addresses:
        raise HostError("the running gateway has no explicit proxy that listens on TCP", hint=_HINT)
    host, _, port = addresses[0].rpartition(":")
    return f"{_ANY_ADDRESS.get(host, host)}:{port}"


def _write_files(directory: Path, files: dict[str, str]) -> None:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)
    except OSError as error:
        raise HostError(f"cannot write to {directory}: {error.strerror}") from error


def _fish(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
