"""``outward audit``: is the journal as it was written?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from outward.audit.verify import Report, verify
from outward.cli.declaring import Group
from outward.cli.home import state_directory
from outward.core.display import counted

EXIT_BROKEN: Final = 1


@click.group("audit", cls=Group)
def command() -> None:
    """Verify the audit journal's hash chain."""


@command.command("verify")
@click.argument("file", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="The outcome as one JSON object.")
def verify_command(file: Path | None, as_json: bool) -> int:
    """Check the hash chain of FILE (a journal or a directory of them), by default of all sessions.

    Exit status 1 and the first bad record where it is broken.
    """
    report = verify(file or state_directory() / "journal")
    click.echo(_json(report) if as_json else _text(report))
    return EXIT_BROKEN if report.broken else 0


def _text(report: Report) -> str:
    lines = [f"note: {note}" for note in report.notes]
    if report.broken:
        bad = report.broken
        lines.append(f"BROKEN at {bad.file}:{bad.line}: {bad.reason}")
    else:
        lines.append(f"ok: as it was written, {counted(report.records, 'record')} in {counted(report.files, 'file')}")
    return "\n".join(lines)


def _json(report: Report) -> str:
    bad = report.broken
    return json.dumps(
        {
            "ok": bad is None,
            "files": report.files,
            "records": report.records,
            "first_bad": bad and {"file": str(bad.file), "line": bad.line, "reason": bad.reason},
            "notes": report.notes,
            "heads": report.heads,
        }
    )
