"""Starts a program where a layer lies over the workspace, and nowhere else.

A program of its own, for podman without root has power over mounts only inside its own user namespace, which it lets programs
into (podman-unshare(1)). Here it is a mount namespace for what is started, so nothing is mounted where others could see it,
and nothing is left to be unmounted: it is gone with the container, however that ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward import kernel
from outward.core import HostError
from outward.workspace.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outward.workspace.layer import Layer

_LOADED: Final = (
    f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {__name__} import main; main(sys.argv[2:])"
)
"""Isolated from the caller's environment and loaded from where we were."""


def laid_out(layer: Layer) -> Overlay:
    """The layers, complete. Raises :class:`HostError`."""
    try:
        return layer.lay_out()
    except OSError as error:
        raise HostError(f"cannot keep changes in {layer.directory}: {error.strerror}") from error


def prefix(layer: Layer) -> tuple[str, ...]:
    """What is put before a command line, whose program is an absolute path, so that it runs there."""
    places = [place for place in sys.path if Path(place).is_absolute()]
    return (sys.executable, "-I", "-c", _LOADED, json.dumps(places), json.dumps([laid_out(layer), layer.workspace]))


def main(arguments: Sequence[str]) -> None:
    """Becomes the program."""
    (lower, upper, work), workspace = json.loads(arguments[0])
    try:
        kernel.new_mount_namespace()
        Overlay(tuple(lower), upper, work).mount(workspace)
    except OSError as error:
        raise SystemExit(f"no layer can be laid over {workspace}: {error.strerror}") from error
    os.execv(arguments[1], [*arguments[1:]])  # noqa: S606 (no shell is the point)
