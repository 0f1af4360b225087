"""Finds what has come into being in a workspace and would take effect outside, and sets it aside."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from outward.workspace.fixed import FIXED, looks_like_repository, parts_of
from outward.workspace.scan import OPAQUE
from outward.workspace.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from outward.workspace.patterns import Globs

SUFFIX: Final = ".set-aside"

INERT_SETTINGS: Final = (  # compiled where it is used, as those below: few sessions need them
    # Settings of a repository that name no program and no other file of settings, as `git init` and `git clone` write them:
    # section.key = value, in lower case, whatever the subsection. Anything else is looked at as if it did.
    r"core\.(?:repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol)=.*"
    r"|extensions\.(?:objectformat|refstorage|partialclone)=.*"
    r"|remote\.(?:fetch|pushdefault|promisor|partialclonefilter|tagopt)=.*"
    r"|remote\.(?:url|pushurl)=(?:(?:https?|ssh|git|file)://|git@|\.{0,2}/)\S*"
    r"|branch\.(?:remote|merge|rebase|autosetuprebase)=.*"
    r"|user\.(?:name|email)=.*"
    r"|submodule\.(?:active)=.*"
    r"|init\.defaultbranch=.*"
)
_SECTION: Final = r'\[\s*([A-Za-z0-9.-]+)(?:\s+"(?:[^"\\\n]|\\.)*")?\s*\]'
_SETTING: Final = r"([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*(.*))?"
_LONGEST: Final = 1 << 16


def new_fixed(root: str, known: Container[str], allowed: Globs) -> Iterator[str]:
    """Paths below ``root`` (relative to it) that :data:`~outward.workspace.fixed.FIXED` names and that are not ``known``
    (:func:`identified`) nor ``allowed``. What a plain new repository consists of is not meant."""
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        for entry in entries:
            path = entry.path[len(root) + 1 :]
            if entry.name in FIXED or entry.name == "HEAD":
                for found in _fixed_at(root, entry, path):
                    if identified(f"{root}/{found}") not in known and not allowed.match(found):
                        yield found
            if entry.is_dir(follow_symlinks=False) and not entry.path.endswith(OPAQUE):
                pending.append(entry.path)


def _fixed_at(root: str, entry: os.DirEntry[str], path: str) -> Iterator[str]:
    if entry.name == "HEAD":
        directory = os.path.dirname(entry.path)  # noqa: PTH120
        if looks_like_repository(root, directory):
            yield from _repository(directory, path.rpartition("/")[0])
        return
    below = FIXED[entry.name]
    if not below or not entry.is_dir(follow_symlinks=False):
        yield path
        return
    yield from _repository(entry.path, path)


def _repository(directory: str, path: str) -> Iterator[str]:
    for name in parts_of(directory):
        inner = f"{directory}/{name}"
        if os.path.lexists(inner) and not _is_inert(inner, name):
            yield f"{path}/{name}".lstrip("/")


def identified(path: str) -> str:
    """The path, which directory it is in, and where it leads if it is a link.

    What is fixed cannot be renamed, but a directory above it can be, and another made in its place.
    """
    try:
        directory = os.stat(os.path.dirname(path), follow_symlinks=False)  # noqa: PTH116, PTH120 (start-up)
    except OSError:
        return f"{path}\0"
    target = os.readlink(path) if os.path.islink(path) else ""  # noqa: PTH114, PTH115 (start-up)
    return f"{path}\0{directory.st_dev}:{directory.st_ino}\0{target}"


def set_aside(root: str, path: str) -> str:
    """Renames ``path`` below ``root``, over no link; the new name. Raises :class:`OSError`."""
    with Tree(root) as tree, tree.parent(path) as (directory, name):
        taken = set(os.listdir(directory))  # noqa: PTH208 (a descriptor)
        number, new = 1, f"{name}{SUFFIX}"
        while new in taken:
            number += 1
            new = f"{name}{SUFFIX}-{number}"
        os.rename(name, new, src_dir_fd=directory, dst_dir_fd=directory)
        return new


def _is_inert(path: str, name: str) -> bool:
    """Whether a part of a repository does nothing: as git makes it, and no more."""
    if name == "hooks" and not os.path.islink(path):  # noqa: PTH114
        return all(each.name.endswith(".sample") for each in os.scandir(path))
    if name.rpartition("/")[2] in {"config", "config.worktree"}:
        return inert_settings(_text(path))
    if name.startswith("worktrees/"):
        return _text(path) == "../..\n"  # the repository that it is in
    return name == "info/attributes" and not _text(path)


def inert_settings(text: str | None) -> bool:
    """Whether git's settings in ``text`` make it run nothing and read no other settings (git-config(1))."""
    if text is None:
        return False
    section = ""
    for line in text.split("\n"):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if heading := re.match(_SECTION, line):
            section = heading[1].lower()
            line = line[heading.end() :].strip()
            if not line:
                continue
        setting = re.fullmatch(_SETTING, line)
        if (
            setting is None or "\\" in line or '"' in line
        ):  # continued lines and quotes: git reads more into them than we do
            return False
        if not re.fullmatch(INERT_SETTINGS, f"{section}.{setting[1].lower()}={setting[2] or ''}"):
            return False
    return True


def _text(path: str) -> str | None:
    """What a regular file holds; nothing where it is none, or longer than such files are."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor)
        content = file.read(_LONGEST + 1)
    return content.decode("latin-1") if len(content) <= _LONGEST else None
