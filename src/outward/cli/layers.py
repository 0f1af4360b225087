"""Which session's changes a person means, and how they are named on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from click.shell_completion import CompletionItem

from outward.cli.home import state_directory
from outward.core import OutwardError
from outward.core.display import printable
from outward.session.running import LAYERS
from outward.workspace.layer import find

if TYPE_CHECKING:
    import click

    from outward.workspace.layer import Layer

_NONE: Final = "Changes are kept aside by `outward run --mode review -- …`."


def choose(session: str | None) -> Layer:
    """The layer of ``session``, or of the newest session whose workspace the current directory is in.

    Raises :class:`OutwardError` where there is none; the hint names those that there are.
    """
    layers = find(state_directory() / LAYERS)
    if session is not None:
        known = [layer for layer in layers if layer.session.startswith(session)]
        exact = [layer for layer in known if layer.session == session]
        if len(found := exact or known) == 1:
            return found[0]
        problem = f"there are several sessions {session}…" if known else f"there is no session {session} with changes"
        raise OutwardError(problem, hint=_named(layers))
    here = Path.cwd().resolve()
    if found := [
        layer for layer in layers if here.is_relative_to(layer.workspace) and (not layer.empty or layer.running)
    ]:
        return found[-1]
    raise OutwardError(f"no session changed anything in {here}", hint=_named(layers))


def others(layer: Layer) -> list[str]:
    """Further sessions that changed the same workspace, newest first."""
    layers = reversed(find(state_directory() / LAYERS))
    return [each.session for each in layers if each.workspace == layer.workspace and each != layer and not each.empty]


def complete(_context: click.Context, _parameter: click.Parameter, beginning: str) -> list[CompletionItem]:
    """The sessions whose names begin so, newest first, for the shell."""
    layers = reversed(find(state_directory() / LAYERS))
    return [CompletionItem(each.session, help=each.workspace) for each in layers if each.session.startswith(beginning)]


def heading(layer: Layer) -> str:
    """One line about a session."""
    moment = datetime.fromtimestamp(layer.started / 1e9, UTC).astimezone()
    state = "  (still running)" if layer.running else ""
    return f"{layer.session}  {moment:%Y-%m-%d %H:%M}  {layer.agent}  {layer.workspace}{state}"


def plain(text: str) -> str:
    """A name, or a line of a file: see :func:`~outward.core.display.printable`; tabs stay what they are."""
    return printable(text, keep="\t")


def _named(layers: list[Layer]) -> str:
    if not layers:
        return _NONE
    return "\n  ".join(("Sessions with changes:", *map(heading, layers)))
