"""Files that an agent's home must hold, merged into what is there.

The home persists and belongs to the agent: whatever lies in it may be hostile. Files are opened without following links, and
written as new files that take the old one's place, so that a planted link leads nowhere.
"""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from outward.core import HostError
from outward.core.expressions import expression
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_SIZE: Final = 16 << 20
"""Octets of an existing file that are read; a larger one is replaced."""

_BARE_KEY: Final = expression(r"[A-Za-z0-9_-]+", re.ASCII)
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Seeding(NamedTuple):
    """What a seed may depend on: the ``directory`` that the agent starts in, and the ``placeholders`` that it is given,
    by environment variable."""

    directory: str
    placeholders: Mapping[str, str]


class Seed(NamedTuple):
    """A file of settings, by its path below the home; its suffix tells JSON from TOML. ``content`` gives what it must hold,
    or, in TOML, which people write by hand, what it holds unless it says otherwise."""

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


def merge_json(text: str, wanted: dict[str, Any]) -> str:
    """``text`` with ``wanted`` in it. What is no JSON object, or too deep for one, counts as nothing: the agent broke it."""
    with suppress(ValueError, RecursionError):  # Pythons differ in what they read and cannot write again
        existing = json.loads(text)
        if isinstance(existing, dict):
            merged = merge(existing, wanted)
            return text if merged == existing else json.dumps(merged, indent=2)
    return json.dumps(wanted, indent=2)


def merge_toml(text: str, wanted: dict[str, Any]) -> str:
    """``text`` with what it does not say yet of ``wanted``, strings and tables of them; comments and order stay.

    What is no TOML counts as nothing. A table that exists is left alone.
    """
    import tomllib  # one agent needs it, and every start would wait for it

    try:
        existing = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        text, existing = "", {}
    if text and not text.endswith("\n"):
        text += "\n"
    # Keys of the whole file come before its first table, further tables may come last.
    merged = _toml_keys(wanted, existing) + text + "".join(_toml_tables(wanted, existing, ()))
    try:
        tomllib.loads(merged)
    except (tomllib.TOMLDecodeError, RecursionError):  # a table on one line cannot be added to
        return text
    return merged


def _toml_keys(wanted: dict[str, Any], existing: dict[str, Any]) -> str:
    missing = [(key, value) for key, value in wanted.items() if isinstance(value, str) and key not in existing]
    return "".join(f"{_toml_key(key)} = {_toml_string(value)}\n" for key, value in missing)


def _toml_tables(wanted: dict[str, Any], existing: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for name, table in wanted.items():
        if not isinstance(table, dict):
            continue
        inner, known = (*path, name), existing.get(name)
        if known is None and (keys := _toml_keys(table, {})):
            yield f"\n[{'.'.join(map(_toml_key, inner))}]\n{keys}"
        yield from _toml_tables(table, known if isinstance(known, dict) else {}, inner)


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _toml_string(key)


def _toml_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_MERGE: Final[Mapping[str, Callable[[str, dict[str, Any]], str]]] = {".json": merge_json, ".toml": merge_toml}


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
        merged = _MERGE[path.suffix](existing or "", content)
        if merged != existing:
            _write(directory, path.name, merged)
    finally:
        os.close(directory)


def _read(directory: int, name: str) -> str | None:
    """The file's text; nothing when it is missing, a link, too large or no text: the agent broke it."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SIZE:
            return None
        try:
            return file.read(MAX_SIZE).decode()
        except UnicodeDecodeError:
            return None


def _write(directory: int, name: str, text: str) -> None:
    draft = f".{name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(draft, flags, 0o600, dir_fd=directory), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
    os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
