"""Secrets that came to lie in the workspace while a session in review mode ran: hidden in its layer, and recorded there."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from outward.workspace.inside import Inside

APPEARED: Final = "appeared"
"""The file beside a layer in which they stand."""


class Appeared:
    """Those of the layer in the directory ``layer``, of a session that begins. Raises :class:`OSError`, as everything here."""

    def __init__(self, layer: Path) -> None:
        self._upper: Final = os.open(layer / "upper", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._record: Final = os.open(layer / APPEARED, flags, 0o600)

    def hide(self, inside: Inside, workspace: str, path: str) -> None:
        """Hides ``path``, relative to the workspace, unless the agent has made something of its own there."""
        os.write(
            self._record, json.dumps(path).encode() + b"\n"
        )  # first: a review shows nothing of it, whatever comes next
        with suppress(FileNotFoundError):
            os.stat(path, dir_fd=self._upper, follow_symlinks=False)
            return
        whole = f"{workspace}/{path}"
        if not inside.hide(whole):
            inside.white_out(
                whole
            )  # it was looked for before, and the kernel may remember for a while that it is not there


def appeared(layer: Path) -> tuple[str, ...]:
    """Which paths of the workspace they are."""
    try:
        text = (layer / APPEARED).read_text()
    except FileNotFoundError:
        return ()
    return tuple(json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n"))
