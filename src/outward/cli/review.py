"""``outward review``: what a session in review mode changed."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from outward.cli.layers import choose, complete, heading, others, plain
from outward.core.records import NamedTuple
from outward.workspace.changes import Change, Kind, changes
from outward.workspace.difference import Difference, differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outward.workspace.layer import Layer

_LETTERS: Final = {Kind.ADDED: "A", Kind.MODIFIED: "M", Kind.DELETED: "D", Kind.MODE: "m", Kind.TYPE: "T"}
_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}
_BAR: Final = 40
_MANY: Final = 100
"""New files of one new directory that are one line: what a package manager fetched is not read by anybody."""


@click.command("review")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, without the diff.")
@click.option("--stat", is_flag=True, help="Numbers of lines instead of the diff.")
@click.option("--list", "only_list", is_flag=True, help="Only the list of changes.")
@click.option("--all", "everything", is_flag=True, help="New directories of many files and git's own files as well.")
@click.argument("session", required=False, shell_complete=complete)
def command(as_json: bool, stat: bool, only_list: bool, everything: bool, session: str | None) -> None:
    """Show what a session in review mode changed, and what should be looked at twice.

    SESSION is as `outward run` names it, or its beginning; without it, the newest whose workspace is this directory. On a
    terminal it opens in $PAGER. Nothing in it can steer the terminal: what is not printable is shown as an escape.

    \b
      outward run --mode review -- claude
      outward review
      outward apply src tests       all of it: outward apply
      outward discard
    """
    layer = choose(session)
    found = changes(layer)
    if as_json:
        click.echo(json.dumps(_record(layer, found), indent=2))
        return
    lines = _page(layer, _folded(found, everything), stat=stat, only_list=only_list)
    if sys.stdout.isatty():
        os.environ.setdefault("LESS", "-FRX")
        click.echo_via_pager(f"{line}\n" for line in lines)
    else:
        for line in lines:
            click.echo(click.unstyle(line))


def _record(layer: Layer, found: list[Change]) -> dict[str, Any]:
    return {
        "session": layer.session,
        "workspace": layer.workspace,
        "agent": layer.agent,
        "command": list(layer.command),
        "started": datetime.fromtimestamp(layer.started / 1e9, UTC).isoformat().replace("+00:00", "Z"),
        "running": layer.running,
        "changes": [
            {
                "path": change.path,
                "status": change.kind.value,
                "type": change.type,
                "size": change.after.st_size if change.after is not None else None,
                "mode": f"{change.after.st_mode & 0o777:04o}" if change.after is not None else None,
                "suspicious": list(change.suspicions),
                "conflict": change.conflict or None,
                "obstacle": change.obstacle or None,
            }
            for change in found
        ],
    }


class _Folded(NamedTuple):
    """What is shown one by one, and what is shown as a number: ``internal`` files of git, and new files by directory."""

    shown: list[Change]
    internal: int
    directories: dict[str, int]


def _folded(found: list[Change], everything: bool) -> _Folded:
    filled = {change.path.rpartition("/")[0] for change in found}
    listed = [change for change in found if everything or not (_is_internal(change) or _is_shell(change, filled))]
    internal = 0 if everything else sum(map(_is_internal, found))
    new = {change.path for change in found if change.kind is Kind.ADDED and change.type == "directory"}
    tops = {path for path in new if path.rpartition("/")[0] not in new}
    counted = Counter(top for change in listed if not _is_marked(change) and (top := _top(change.path, tops)))
    many = {} if everything else {path: count for path, count in sorted(counted.items()) if count > _MANY}
    shown = [change for change in listed if _is_marked(change) or _top(change.path, tops) not in many]
    return _Folded(shown, internal, many)


def _top(path: str, tops: set[str]) -> str:
    """The uppermost new directory that a path is in; empty for none."""
    pieces = path.split("/")
    above = ("/".join(pieces[:count]) for count in range(1, len(pieces) + 1))
    return next((path for path in above if path in tops), "")


def _page(layer: Layer, folded: _Folded, *, stat: bool, only_list: bool) -> Iterator[str]:
    yield click.style(plain(heading(layer)), bold=True)
    if more := others(layer):
        yield f"further sessions changed this workspace: {' '.join(more)}"
    if not any(folded):
        yield "nothing is left to apply"
        return
    for change in folded.shown:
        yield from _listed(change)
    for path, count in folded.directories.items():
        yield f"  A  {plain(path)}/  ({count} new files; --all shows them)"
    if folded.internal:
        yield f"     .git: {folded.internal} files of the repository itself (objects, references, index)"
    if only_list:
        return
    yield ""
    for difference in differences(layer, folded.shown):
        yield from _stat(difference) if stat else _diff(difference)


def _is_marked(change: Change) -> bool:
    return bool(change.suspicions or change.conflict or change.obstacle)


def _is_internal(change: Change) -> bool:
    """Whether it is git's own bookkeeping, which says nothing to a person."""
    return "/.git/" in f"/{change.path}" and not _is_marked(change)


def _is_shell(change: Change, filled: set[str]) -> bool:
    """Whether it is a new directory of which something is shown anyway."""
    return change.type == "directory" and change.kind is Kind.ADDED and change.path in filled and not change.obstacle


def _listed(change: Change) -> Iterator[str]:
    name = plain(change.path) + ("/" if change.type == "directory" else "")
    mark = click.style("!", fg="yellow", bold=True) if _is_marked(change) else " "
    yield f"{mark} {_LETTERS[change.kind]}  {name}"
    if change.obstacle:
        yield click.style(f"     cannot be applied: {change.obstacle}", fg="red")
    if change.conflict:
        yield click.style(f"     conflict: {plain(change.conflict)}", fg="red")
    for reason in change.suspicions:
        yield click.style(f"     suspicious: {plain(reason)}", fg="yellow")


def _stat(difference: Difference) -> Iterable[str]:
    name = plain(difference.change.path)
    if difference.note:
        yield f"{name:<{_BAR}} {difference.note}"
        return
    added = click.style(f"+{difference.added}", fg="green")
    yield f"{name:<{_BAR}} {added} {click.style(f'-{difference.removed}', fg='red')}"


def _diff(difference: Difference) -> Iterator[str]:
    if difference.note:
        yield click.style(f"{plain(difference.change.path)}: {difference.note}", bold=True)
    for number, line in enumerate(difference.lines):
        if number < 2:
            yield click.style(plain(line), bold=True)
        else:
            yield click.style(plain(line), fg=_COLOURS.get(line[:1]))
