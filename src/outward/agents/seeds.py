"""Files that an agent's home must hold, merged into what is there.

The home persists and belongs to the agent: whatever lies in it may be hostile. Files are opened without following links, and
written as new files that take the old one's place, so that a planted link leads nowhere.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_SIZE: Final = 16 << 20
"""Octets of an existing file that are read; a larger one is replaced."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Seeding(NamedTuple):
    """What a seed may depend on: the ``directory`` that the agent starts in, and the ``placeholders`` that it is given,
    by environment variable."""

    directory: str
    placeholders: Mapping[str, str]


class Seed(NamedTuple):
    """A JSON file, by its path below the home. ``content`` gives what it must hold."""

    path: str
    content: Callable[[Seeding], dict[str, Any]]


def plant(home: Path, seeds: Iterable[Seed], seeding: Seeding) -> None:
    """Writes the seeds into ``home``. Raises :class:`HostError` where that is not possible."""
    for seed in seeds:
        if not (content := seed.content(seeding)):
            continue
        try:
            _plant(home, PurePath(seed.path), content)
        except OSError as error:
            raise HostError(
                f"cannot write {home / seed.path}: {error.strerror}",
                hint=f"Look at {home}: it is the agent's home, and only files and directories belong there.",
            ) from error


def merge(existing: Any, wanted: Any) -> Any:
    """``wanted`` in ``existing``: objects key by key, lists without repetition, anything else replaced."""
    if isinstance(existing, dict) and isinstance(wanted, dict):
        return existing | {key: merge(existing.get(key), value) for key, value in wanted.items()}
    if isinstance(existing, list) and isinstance(wanted, list):
        return existing + [item for item in wanted if item not in existing]
    return wanted


def _plant(home: Path, path: PurePath, content: dict[str, Any]) -> None:
    directory = os.open(home, _DIRECTORY)
    try:
        for part in path.parts[:-1]:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=directory)
            inner = os.open(part, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
        existing = _read(directory, path.name)
        merged = merge(existing, content)
        if merged != existing:
            _write(directory, path.name, merged)
    finally:
        os.close(directory)


def _read(directory: int, name: str) -> Any:
    """The file's content; nothing when it is missing, a link, too large or no JSON object: the agent broke it."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SIZE:
            return None
        try:
            content = json.loads(file.read(MAX_SIZE))
        except (ValueError, RecursionError):
            return None
    return content if isinstance(content, dict) else None


def _write(directory: int, name: str, content: Any) -> None:
    draft = f".{name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(draft, flags, 0o600, dir_fd=directory), "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(content, file, indent=2)
    os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
