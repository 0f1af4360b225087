"""``outward doctor``: what this machine can do."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from outward.cli.arguments import BACKENDS
from outward.cli.declaring import json_option
from outward.cli.home import state_directory
from outward.core.display import printable
from outward.doctor import CLIENTS, Trials, look_at_machine, try_backends, try_clients

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.doctor import Finding

_OUTWARD: Final = (sys.executable, "-c", "from outward.cli import main; main()")
_WITH_THE_HOSTS_PROGRAMS: Final = ("bubblewrap", "podman", "docker", "gvisor")
"""Backends in which clients of this machine are tried: the first that works."""


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """What this machine can do: its kernel, each backend, and each client in a sandbox.

    Backends are tried by running something in them. Clients (curl, git, pip, npm, node, python, go, java, cargo, gcloud, gh, as
    far as they are here) are run in a sandbox against a server of our own on loopback; nothing leaves the machine.

    The exit status is 0 if at least one backend works, else 1.
    """
    report = _Report(as_json=as_json)
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="outward-doctor-") as name:
        directory = Path(name)
        report.add("machine", look_at_machine())
        (directory / "backends").mkdir()
        backends = Trials(_OUTWARD, environment, state_directory(), directory / "backends")
        names = [name for name in BACKENDS if name != "none"]
        working = [
            each.name for each in report.add("backends", try_backends(names, backends, report.watch)) if each.good
        ]
        usable = next((name for name in _WITH_THE_HOSTS_PROGRAMS if name in working), None)
        if usable is not None:
            (directory / "clients").mkdir()
            # A state directory of its own: what is tried here belongs in nobody's journal.
            clients = Trials(_OUTWARD, environment, directory / "state", directory / "clients")
            path = environment.get("PATH", "")
            report.add("clients", try_clients(CLIENTS, path, clients, directory, usable, report.watch))
    report.end(works=bool(working))
    return 0 if working else 1


class _Report:
    """Prints findings as they come, with what is being tried on a terminal; or all of them as JSON at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json: Final = as_json
        self._terminal: Final = not as_json and sys.stdout.isatty()
        self._document: Final[dict[str, object]] = {}

    def watch(self, name: str) -> None:
        """What takes its time now."""
        if self._terminal:
            click.echo(f"\r\033[K  … {name}", nl=False)

    def add(self, group: str, findings: Iterable[Finding]) -> list[Finding]:
        """Prints a group, and gives it back."""
        if not self._as_json:
            click.secho(group.capitalize(), bold=True)
        seen = []
        for finding in findings:
            seen.append(finding)
            if not self._as_json:
                self._print(finding)
        self._document[group] = [finding._asdict() for finding in seen]
        return seen

    def end(self, *, works: bool) -> None:
        """The document, or the last line."""
        if self._as_json:
            click.echo(json.dumps({"ok": works, **self._document}, indent=2))
        elif not works:
            click.echo("No backend works on this machine: see the remedies above.")

    def _print(self, finding: Finding) -> None:
        if self._terminal:
            click.echo("\r\033[K", nl=False)
        mark = click.style("yes", fg="green") if finding.good else click.style("no ", fg="yellow")
        click.echo(f"  {mark}  {finding.name}: {printable(finding.found)}")
        if finding.remedy and not finding.good:
            click.echo(f"       {printable(finding.remedy)}")
