"""``outward log``: the journal as a table, one line a request, or as the records that it is made of."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from outward.audit.reading import Reader, Record, Selection, joined
from outward.cli.home import state_directory
from outward.core import OutwardError, Refusal
from outward.core.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_POLL_SECONDS: Final = 0.25
_YOUNG: Final = timedelta(seconds=0.1)
"""With --follow, how long a record waits for one of another session that may come before it."""
_CLOCK: Final = timedelta(seconds=10)
"""What lies further ahead was written before the clock was set back, and is not waited for."""
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_STYLES: Final = {"allow": "green", "deny": "bold red", "ask": "yellow", "unfinished": "yellow", "note": "cyan"}
_COLUMNS: Final = "{time:<15} {agent:<10} {verdict:<10} {status:>6} {took:>9} {size:>9}  {request}"
_HEADING: Final = _COLUMNS.format(
    time="TIME", agent="AGENT", verdict="VERDICT", status="STATUS", took="TOOK", size="BYTES", request="REQUEST"
)


def _since(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The moment as records have it, from a span before now or a moment in local time (unless it says otherwise)."""
    if not value:
        return ""
    try:
        if match := re.fullmatch(r"(\d{1,9})([smhd])", value, re.ASCII):
            moment = datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        else:
            moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is not a time; try 10m, 2h, 3d or 2026-11-21T10:00") from None
    return moment.strftime(_MOMENT)


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="The records as they are in the journal.")
@click.option("--follow", "-f", is_flag=True, help="Go on as requests are made, until interrupted.")
@click.option("--denied", is_flag=True, help="Only what was refused.")
@click.option(
    "--since", callback=_since, metavar="TIME", default="", help="Only from then on: 10m, 2h, 2026-11-21T10:00."
)
@click.option("--host", default="*", help="Only requests to this host; * stands for any text.")
@click.option("--session", help="Only this session, with all its workers.")
def command(as_json: bool, follow: bool, denied: bool, since: str, host: str, session: str | None) -> None:
    """Read the audit journal: what was asked for, what was decided, what came of it.

    All sessions together, by time; a gateway with several workers is one session.
    """
    reader = Reader(state_directory() / "journal", session)
    if session is not None and reader.empty and not follow:
        raise OutwardError(f"there is no session {session} in the journal", hint="`outward log --json` names them.")
    selection = Selection(since, host.lower(), denied)
    started: dict[tuple[str, str], Record] = {}
    show = _show_json if as_json else _table()
    while True:
        records = reader.read(_young()) if follow else reader.read()
        show(record for record in joined(records, started) if selection.covers(record.fields))
        if not follow:
            break
        time.sleep(_POLL_SECONDS)
    if not as_json:
        show(
            record._replace(fields=record.fields | {"phase": "unfinished"})
            for record in started.values()
            if selection.covers(record.fields)
        )
    if reader.unreadable:
        click.echo(f"{reader.unreadable} lines could not be read; see `outward audit verify`.", err=True)


def _young() -> tuple[str, str]:
    now = datetime.now(UTC)
    return (now - _YOUNG).strftime(_MOMENT), (now + _CLOCK).strftime(_MOMENT)


def _show_json(records: Iterable[Record]) -> None:
    for record in records:
        click.echo(record.line)
    sys.stdout.flush()


def _table() -> Callable[[Iterable[Record]], None]:
    """Shows rows under one heading, in colour on a terminal (unless NO_COLOR is set)."""
    write = _writer()
    write(_HEADING, "bold")
    return partial(_show_rows, write)


def _writer() -> Callable[[str, str], None]:
    if not sys.stdout.isatty():
        return lambda line, _: click.echo(line)
    from rich.console import Console  # here: only a terminal needs it

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    return lambda line, style: console.print(line, style=style)


def _show_rows(write: Callable[[str, str], None], records: Iterable[Record]) -> None:
    for record in records:
        if record.fields["phase"] == "start":
            continue
        row = _row(record.fields)
        write(_COLUMNS.format(**row), _STYLES.get(row["verdict"], ""))
        if hint := _hint(record.fields):
            write(f"{'':15} {hint}", "")
    sys.stdout.flush()


def _row(fields: dict[str, Any]) -> dict[str, str]:
    moment = datetime.fromisoformat(fields["time"]).astimezone()
    return {
        "time": f"{moment:%m-%d %H:%M:%S}",
        "agent": printable(str(fields.get("agent", ""))),
        "verdict": printable(str(fields.get("verdict", "") if fields["phase"] == "end" else fields["phase"])),
        "status": printable(str(fields.get("status", ""))),
        "took": _amount(fields.get("duration_ms"), " ms"),
        "size": _amount(fields.get("bytes_out")),
        "request": printable(_request(fields)),
    }


def _request(fields: dict[str, Any]) -> str:
    host, port = fields.get("host", ""), fields.get("port")
    authority = f"{host}:{port}" if port not in {None, 80, 443} else host
    leaks = ", ".join(map(str, fields.get("leaks") or ()))
    why = (
        (leaks and f"the placeholder of {leaks} passed in the body")
        or fields.get("error")
        or fields.get("code")
        or fields.get("rule")
        or ""
    )
    parts = (fields.get("method") or fields.get("kind", ""), f"{authority}{fields.get('path', '')}", why and f"({why})")
    return " ".join(str(part) for part in parts if part)


def _hint(fields: dict[str, Any]) -> str:
    """The command that would allow a refused request, if there is one."""
    if fields["phase"] != "end" or fields.get("verdict") != "deny":
        return ""
    path = str(fields.get("path", "")).partition("?")[0]
    code, method, scheme, host = (str(fields.get(name, "")) for name in ("code", "method", "scheme", "host"))
    return Refusal(code, method, scheme, host, int(fields.get("port") or 0), path).allow_command


def _amount(value: Any, unit: str = "") -> str:
    return f"{value:.0f}{unit}" if isinstance(value, int | float) else ""
