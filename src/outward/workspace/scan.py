"""Finds what must be hidden or fixed in a tree, in one pass.

Runs before the agent does. Whatever cannot be looked at is hidden; whatever vanishes meanwhile is gone.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from outward.core.records import NamedTuple
from outward.workspace.beside import beside
from outward.workspace.fixed import FIXED, looks_like_repository, parts_of
from outward.workspace.hidden import EXAMPLES, HIDDEN, PRIVATE_KEY, SNIFF_LIMIT, SNIFFED
from outward.workspace.patterns import Globs, Names

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATTERNS: Final = tuple(pattern for patterns in HIDDEN.values() for pattern in patterns)
_HIDDEN: Final = Names(_PATTERNS)
_SUSPECTS: Final = Names((*_PATTERNS, *SNIFFED))
_EXAMPLES: Final = Names(EXAMPLES)
_BY_NAME: Final = Names(pattern for pattern in _PATTERNS if not pattern.startswith("*"))
_PLAIN: Final = tuple(pattern for pattern in _PATTERNS if not set(pattern) & set("/*?"))

OPAQUE: Final = ("/.git/objects", "/.git/lfs")
"""Ends of paths that are not descended into: content by hash, which says nothing by its names."""

INSTALLED: Final = frozenset(
    {"lib", "lib32", "lib64", "libexec", "share", "include", "node_modules", "site-packages", "src"}
)
"""Directories of a tool chain that hold what installers put there, and a hundred thousand files of it."""

_LARGE: Final = 128
"""Directories after which a tree is large: from then on two processes look through it."""
_SEVERAL: Final = 8
"""Directories that are left then, at the least, to be shared."""


class Hidden(NamedTuple):
    """A path to cover with something empty of its own kind."""

    path: str
    directory: bool


class Found:
    """What a scan gives. ``pinned`` are directories that must not be renamed: a fixed or hidden path lies in them. ``links``
    have the name of something fixed, and lead to it."""

    def __init__(self) -> None:
        self.hidden: list[Hidden] = []
        self.fixed: list[str] = []
        self.pinned: list[str] = []
        self.links: list[str] = []

    def extend(self, other: Found) -> None:
        """Adds what another scan found."""
        self.hidden += other.hidden
        self.fixed += other.fixed
        self.pinned += other.pinned
        self.links += other.links

    def dump(self) -> bytes:
        """All of it, for another process."""
        return json.dumps([self.hidden, self.fixed, self.pinned, self.links]).encode()

    def load(self, content: bytes) -> None:
        """Adds what another process found."""
        hidden, *others = json.loads(content)
        self.hidden += [Hidden(*each) for each in hidden]
        for own, other in zip((self.fixed, self.pinned, self.links), others, strict=True):
            own += other


class Scanner:
    """Walks trees with one set of rules: the built-in tables, with a policy's ``hide``, ``show`` and ``allow_write``."""

    def __init__(self, hide: Iterable[str] = (), show: Iterable[str] = (), allow_write: Iterable[str] = ()) -> None:
        self._hide: Final = Globs(hide)
        self._exceptions: Final = tuple(show)
        self._show: Final = Globs(self._exceptions)
        self._allow_write: Final = Globs(allow_write)
        self._policy: Final = bool(self._hide or self._show)

    def awaited(self) -> tuple[str, ...]:
        """Names that are hidden wherever they come to lie, and that no exception could mean."""
        exceptions = Globs(pattern.rstrip("/").rpartition("/")[2] for pattern in self._exceptions)
        return tuple(name for name in _PLAIN if not exceptions.match(name))

    def concerns(self, name: str) -> bool:
        """Whether a file of this name is hidden in some directory."""
        return self._policy or _SUSPECTS.may(name)

    def hides_name(self, root: str, path: str, *, by_name: bool, otherwise: bool) -> bool:
        """Whether something new at ``path`` below ``root`` is hidden, whatever is in it.

        ``by_name`` leaves out the kinds of files of the built-in table; ``otherwise`` is the answer where nobody says
        anything.
        """
        relative = path[len(root) + 1 :]
        if self._show.match(relative):
            return False
        if otherwise or self._hide.match(relative):
            return True
        directory, _, name = path.rpartition("/")
        return (_BY_NAME if by_name else _SUSPECTS).match(directory, name) and not _EXAMPLES.match(directory, name)

    def scan(self, root: str, *, fix: bool = False, skip: frozenset[str] = frozenset()) -> Found:
        """Everything in the tree below ``root``. ``fix`` also looks for what is to stay read-only.

        Directories whose name is in ``skip`` are not entered. Symbolic links are not followed; a link that is hidden by its
        name hides what it points at, if that is in the tree. Sockets, pipes and devices are hidden: each is a way out,
        whoever is at the other end. Forks where there is much to look through: call it while there are no threads.
        """
        found = Found()
        left = self._walk(root, [root], found, fix=fix, skip=skip, share=True)
        if not left:
            return found

        def theirs(found: Found) -> Found:
            self._walk(root, left[::2], found, fix=fix, skip=skip)
            return found

        with beside(lambda: theirs(Found()).dump()) as outcome:
            self._walk(root, left[1::2], found, fix=fix, skip=skip)
            content = outcome()
        if content is None:
            return theirs(found)
        found.load(content)
        return found

    def _walk(
        self, root: str, pending: list[str], found: Found, *, fix: bool, skip: frozenset[str], share: bool = False
    ) -> list[str]:
        """Looks through the directories ``pending`` and all below; to ``share`` them, not all: those that are left."""
        ordinary: set[str] = set()  # names of which nothing is said wherever they are: most come more than once
        looked = 0
        while pending:
            if share and looked >= _LARGE and len(pending) >= _SEVERAL:
                break
            looked += 1
            directory = pending.pop()
            try:
                entries = list(os.scandir(directory))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:  # its owner could make it readable again from inside
                found.hidden.append(Hidden(directory, directory=True))
                continue
            for entry in entries:
                name = entry.name
                if name in ordinary and entry.is_file(follow_symlinks=False):
                    continue
                if fix and name in FIXED:
                    self._fix(root, entry, found)
                elif fix and name == "HEAD" and looks_like_repository(root, directory):
                    self._fix_repository(root, directory, found)
                concerned = self.concerns(name)
                if concerned and self._is_hidden(root, directory, entry):
                    self._cover(root, entry, found)
                elif entry.is_dir(follow_symlinks=False):
                    if name not in skip and not entry.path.endswith(OPAQUE):
                        pending.append(entry.path)
                elif not (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
                    found.hidden.append(Hidden(entry.path, directory=False))
                elif not (concerned or name in FIXED or name == "HEAD"):
                    ordinary.add(name)
        return pending

    def _fix(self, root: str, entry: os.DirEntry[str], found: Found) -> None:
        if entry.is_symlink():
            found.links.append(entry.path)
            target = os.path.realpath(entry.path)
            if target.startswith(f"{root}/") and os.path.exists(target):  # noqa: PTH110 (start-up)
                self._add_fixed(root, target, found)
            return
        if FIXED[entry.name] and entry.is_dir(follow_symlinks=False):
            self._fix_repository(root, entry.path, found)
        else:
            self._add_fixed(root, entry.path, found)

    def _fix_repository(self, root: str, directory: str, found: Found) -> None:
        pinned: dict[str, None] = {}
        for name in parts_of(directory):
            if os.path.exists(f"{directory}/{name}"):  # noqa: PTH110 (start-up)
                self._add_fixed(root, f"{directory}/{name}", found)
                pieces = name.split("/")
                pinned.update(dict.fromkeys("/".join((directory, *pieces[:count])) for count in range(len(pieces))))
        found.pinned += pinned

    def _add_fixed(self, root: str, path: str, found: Found) -> None:
        if not self._allow_write.match(path[len(root) :].lstrip("/")):
            found.fixed.append(path)

    def _is_hidden(self, root: str, directory: str, entry: os.DirEntry[str]) -> bool:
        if self._policy:
            relative = entry.path[len(root) :].lstrip("/")
            if self._show.match(relative):
                return False
            if self._hide.match(relative):
                return True
        if not _SUSPECTS.match(directory, entry.name) or _EXAMPLES.match(directory, entry.name):
            return False
        return _HIDDEN.match(directory, entry.name) or (entry.is_file() and _holds_private_key(entry.path))

    def _cover(self, root: str, entry: os.DirEntry[str], found: Found) -> None:
        path = entry.path
        if entry.is_symlink():
            path = os.path.realpath(path)
            if not path.startswith(f"{root}/") or not os.path.lexists(path):
                return
        if not os.path.isdir(path):  # noqa: PTH112 (hot)
            found.hidden.append(Hidden(path, directory=False))
        elif self._show and (shown := self._shown_below(root, path)):
            self._cover_around(path, shown, found)
        else:
            found.hidden.append(Hidden(path, directory=True))

    def _shown_below(self, root: str, directory: str) -> set[str]:
        """Files below a hidden directory that ``show`` excepts."""
        return {
            path
            for parent, _, files in os.walk(directory)
            for path in (f"{parent}/{name}" for name in files)
            if self._show.match(path[len(root) :].lstrip("/"))
        }

    def _cover_around(self, directory: str, shown: set[str], found: Found) -> None:
        for entry in os.scandir(directory):
            if entry.path in shown:
                continue
            if any(path.startswith(f"{entry.path}/") for path in shown):
                self._cover_around(entry.path, shown, found)
            elif not entry.is_symlink():
                found.hidden.append(Hidden(entry.path, entry.is_dir()))


def _holds_private_key(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (hot)
            content = file.read(SNIFF_LIMIT + 1)
    except OSError:
        return True
    return PRIVATE_KEY in content or len(content) > SNIFF_LIMIT
