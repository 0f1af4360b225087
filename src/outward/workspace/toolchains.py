"""Finds what the programs on a PATH need, so that whatever ran outside runs inside.

A *root* is a file or directory to show read-only. For a directory of programs that is its prefix where it has one
(``bin`` beside ``lib``), else the directory alone; then the same for whatever its links and ``#!`` lines lead to. A home
directory, or anything as wide, is never a root.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BIN_NAMES: Final = frozenset({"bin", "sbin", "shims", "condabin", "libexec"})
MARKERS: Final = ("lib", "lib64", "libexec", "pyvenv.cfg", "versions", "installs", "conda-meta")
"""What a directory with one of :data:`BIN_NAMES` has beside it when both belong to one installation."""

WIDE: Final = frozenset({"/", "/home", "/opt", "/srv", "/mnt", "/media", "/var", "/tmp", "/run", "/snap"})  # noqa: S108
WIDE_IN_HOME: Final = (".", ".local", ".local/share", ".config", ".cache")


class Companion(NamedTuple):
    """What the programs of one directory below the home need besides their prefix, and how they are told where it is."""

    directory: str
    roots: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


COMPANIONS: Final[tuple[Companion, ...]] = (
    # Paths are below the caller's home. The home inside is another, so what looks there by default must be told.
    Companion(".cargo/bin", (".rustup",), (("RUSTUP_HOME", ".rustup"),)),
    Companion(".local/bin", (".local/lib",), (("PYTHONUSERBASE", ".local"),)),
    Companion(".volta/bin", (".volta/tools",), (("VOLTA_HOME", ".volta"),)),
    Companion(".asdf/shims", (), (("ASDF_DATA_DIR", ".asdf"),)),
    Companion(".local/share/mise/shims", (), (("MISE_DATA_DIR", ".local/share/mise"),)),
    Companion(".bun/bin", (".bun/install/global",)),
)

_MAX_LINKS: Final = 40
_SHEBANG_LIMIT: Final = 256


class Toolchains(NamedTuple):
    """``path`` are the PATH directories that exist inside, ``roots`` what to show, ``links`` symbolic links to make again
    (path to text), ``variables`` what programs must be told."""

    path: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    links: Mapping[str, str] = MappingProxyType({})
    variables: Mapping[str, str] = MappingProxyType({})


def discover(path: str, home: str, covered: Callable[[str], bool]) -> Toolchains:
    """What the programs on ``path`` (as in ``$PATH``) need that is not ``covered``, that is, visible inside anyway."""
    search = _Search(home, covered)
    kept = [directory for directory in dict.fromkeys(path.split(":")) if search.add_path_entry(directory)]
    return Toolchains(tuple(kept), search.roots_without_nested(), search.links_outside_roots(), search.variables)


def interpreter(path: str) -> str | None:
    """The program that a script's ``#!`` line names, if it has one."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (hundreds of programs at every start)
            line = file.read(_SHEBANG_LIMIT).partition(b"\n")[0]
    except OSError:
        return None
    if not line.startswith(b"#!") or not (words := line[2:].split()):
        return None
    return os.fsdecode(words[0])


class _Search:
    def __init__(self, home: str, covered: Callable[[str], bool]) -> None:
        self._covered = covered
        self._home = home
        self._wide = WIDE | {os.path.normpath(f"{home}/{name}") for name in WIDE_IN_HOME}
        self._wide |= {str(parent) for parent in PurePath(home).parents}
        self._roots: dict[str, None] = {}
        self._links: dict[str, str] = {}
        self._searched: set[str] = set()
        self.variables: dict[str, str] = {}

    def add_path_entry(self, directory: str) -> bool:
        """Adds a directory of PATH; whether it exists inside."""
        if not os.path.isabs(directory) or not os.path.isdir(directory):  # noqa: PTH112, PTH117 (start-up)
            return False
        real = self._resolve(directory)
        if real is None or real in self._wide:
            return False
        self._add_directory(real)
        for companion in COMPANIONS:
            if directory.rstrip("/") == f"{self._home}/{companion.directory}":
                self._add_companion(companion)
        return True

    def _add_companion(self, companion: Companion) -> None:
        existing = [root for root in (f"{self._home}/{name}" for name in companion.roots) if os.path.isdir(root)]  # noqa: PTH112
        for root in existing:
            self._add_root(root)
        if existing or not companion.roots:
            self.variables.update((name, f"{self._home}/{value}") for name, value in companion.variables)

    def _add_directory(self, directory: str) -> None:
        if directory in self._searched or self._covered(directory):
            return
        self._searched.add(directory)
        prefix = self._prefix(directory)
        self._add_root(prefix or directory)
        try:
            entries = list(os.scandir(directory))
        except OSError:  # not readable outside, hence not inside
            return
        for entry in entries:
            if entry.is_symlink():
                self._follow(entry.path)
            elif prefix is None and entry.is_file() and (program := interpreter(entry.path)):
                self._follow(program)

    def _follow(self, path: str) -> None:
        if self._covered(path):
            return
        target = self._resolve(path)
        if target is None or not os.path.isfile(target) or self._covered(target) or self._in_roots(target):  # noqa: PTH113
            return
        parent = os.path.dirname(target)  # noqa: PTH120 (start-up)
        before, modules, _ = target.partition("/node_modules/")
        if modules:
            self._add_root(f"{before}/node_modules")
        elif self._prefix(parent):
            self._add_directory(parent)
        else:
            self._add_root(target)
            if program := interpreter(target):
                self._follow(program)

    def _prefix(self, directory: str) -> str | None:
        parent, name = os.path.split(directory)
        if name not in BIN_NAMES or parent in self._wide:
            return None
        return parent if any(os.path.exists(f"{parent}/{marker}") for marker in MARKERS) else None  # noqa: PTH110

    def _resolve(self, path: str) -> str | None:
        """The real path; every link on the way is noted, since it must be there inside, too."""
        current, rest, links = "", _pieces(path), 0
        while rest:
            piece = rest.pop()
            step = os.path.dirname(current) if piece == ".." else f"{current}/{piece}"  # noqa: PTH120 (start-up)
            if piece == ".." or not os.path.islink(step):  # noqa: PTH114 (start-up)
                current = step.rstrip("/")
                continue
            if (links := links + 1) > _MAX_LINKS:
                return None
            text = os.readlink(step)  # noqa: PTH115 (the text of the link, not a path)
            if not self._covered(step):
                self._links[step] = text
            current = "" if text.startswith("/") else current
            rest += _pieces(text)
        return current or "/"

    def _add_root(self, path: str) -> None:
        self._roots[path] = None

    def _in_roots(self, path: str) -> bool:
        return any(is_below(path, root) for root in self._roots)

    def roots_without_nested(self) -> tuple[str, ...]:
        return tuple(root for root in self._roots if not any(is_below(root, other) for other in self._others(root)))

    def links_outside_roots(self) -> dict[str, str]:
        return {path: text for path, text in self._links.items() if not self._in_roots(path)}

    def _others(self, root: str) -> Iterable[str]:
        return (other for other in self._roots if other != root)


def _pieces(path: str) -> list[str]:
    """The components of a path, last one first."""
    return [piece for piece in reversed(path.split("/")) if piece not in {"", "."}]


def is_below(path: str, root: str) -> bool:
    """Whether ``path`` is ``root`` or lies in it. Both are absolute and normalised."""
    return path == root or path.startswith(f"{root.rstrip('/')}/")
