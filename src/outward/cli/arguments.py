"""What ``outward run`` is told, and the plain way to read it.

``outward.cli.run`` declares the options for people: help, completion, errors. To load what that takes costs more than to build
a sandbox, so that words without any doubt in them are read here; at the first doubt nothing is, and the declaration decides.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BACKENDS: Final = ("bubblewrap", "docker", "podman", "gvisor", "microvm", "none")
MODES: Final = ("write", "read", "review")

_AGENT_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_DURATION: Final = r"([0-9]{1,9})([smhd]?)"
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Arguments(NamedTuple):
    """The command in ``words``, and the options by their names (``outward run --help``); ``timeout`` is in seconds."""

    words: tuple[str, ...]
    policy_file: Path | None = None
    backend: str | None = None
    image: str | None = None
    runtime: str | None = None
    workspace: Path = Path()
    mode: str | None = None
    agent: str | None = None
    timeout: float | None = None
    strict: bool = False
    i_understand_there_is_no_sandbox: bool = False
    debug: bool = False
    quiet: bool = False
    dry_run: bool = False


def agent_name(text: str) -> str | None:
    """``text``, if an agent may have such a name."""
    return text if re.fullmatch(_AGENT_NAME, text) else None


def seconds(text: str) -> float | None:
    """The seconds in ``90s``, ``15m``, ``2h`` or ``1d``; nothing for anything else, and for no time at all."""
    match = re.fullmatch(_DURATION, text)
    return float(int(match[1]) * _UNITS[match[2]]) or None if match else None


def _file(text: str) -> Path | None:
    path = Path(text)
    return path if not path.exists() or (not path.is_dir() and os.access(path, os.R_OK)) else None


def _directory(text: str) -> Path | None:
    path = Path(text)
    return path if path.is_dir() and os.access(path, os.R_OK) else None


def _one_of(choices: Sequence[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in choices else None


_VALUES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "--policy": ("policy_file", _file),
    "--backend": ("backend", _one_of(BACKENDS)),
    "--image": ("image", str),
    "--runtime": ("runtime", str),
    "--workspace": ("workspace", _directory),
    "--mode": ("mode", _one_of(MODES)),
    "--agent": ("agent", agent_name),
    "--timeout": ("timeout", seconds),
}
_FLAGS: Final = ("--strict", "--i-understand-there-is-no-sandbox", "--debug", "--quiet", "--dry-run")


def read_plainly(argv: Sequence[str]) -> Arguments | None:
    """The arguments in what follows ``outward run``, or nothing where a person may be in need of an answer."""
    given: dict[str, Any] = {}
    left = iter(argv)
    words: tuple[str, ...] = ()
    for word in left:
        if word in _FLAGS:
            given[word[2:].replace("-", "_")] = True
        elif word in _VALUES:
            name, read = _VALUES[word]
            text = next(left, "")
            if not text or text.startswith("-") or (value := read(text)) is None:
                return None
            given[name] = value
        elif word == "--":
            words = tuple(left)
        elif word.startswith("-"):
            return None
        else:
            words = (word, *left)
    return Arguments(words, **given) if words else None
