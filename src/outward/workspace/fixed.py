"""What stays read-only in a writable workspace, because it takes effect outside of the sandbox.

Hooks and settings that a tool of the user runs or obeys later, without being asked. What exists is read-only. What does not
exist is kept from coming into being where that can be done (:mod:`outward.workspace.guard`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXED: Final[dict[str, tuple[str, ...]]] = {
    # A name at any depth, and which paths below it are fixed; none means the thing itself. A directory with fixed paths
    # cannot be renamed either, so that no other takes its place.
    ".git": (
        "config",
        "config.worktree",
        "hooks",
        "info/attributes",
        "modules",
        "commondir",  # says that git's settings are elsewhere
    ),
    ".claude": (),
    ".codex": (),
    ".gemini": (),
    ".cursor": (),
    ".mcp.json": (),
    ".vscode": (),
    ".idea": (),
    ".devcontainer": (),
    ".husky": (),
    ".gitconfig": (),
    ".gitmodules": (),
    ".ripgreprc": (),
    ".profile": (),
    ".bashrc": (),
    ".bash_profile": (),
    ".bash_login": (),
    ".bash_logout": (),
    ".zshrc": (),
    ".zshenv": (),
    ".zprofile": (),
    ".zlogin": (),
    ".zlogout": (),
}

REPOSITORY: Final = FIXED[".git"]
"""Paths in a repository's directory, whatever its name: git takes any directory for one that looks like it (a bare one)."""

STAND_INS: Final[dict[str, bytes | None]] = {
    # What stands at a fixed path of the workspace or of a repository while it does not exist, so that there is something to
    # mount: an empty directory, or a file with this content. A directory keeps a file from being made just as well, and git
    # shows no empty directories; in a repository it is what means nothing to git. Each is a mount more at every start, so
    # here are those that something may pick up at once.
    ".git/config.worktree": b"",
    ".git/hooks": None,
    ".git/info/attributes": b"",
    ".git/modules": None,
    ".git/commondir": b".\n",
    **dict.fromkeys(
        (".claude", ".codex", ".gemini", ".cursor", ".mcp.json", ".vscode", ".idea", ".devcontainer", ".husky"), None
    ),
}


def parts_of(repository: str) -> Iterator[str]:
    """What is fixed in a repository's directory, relative to it. Each of its ``worktrees`` says where the settings of a
    working tree elsewhere are (git-worktree(1))."""
    yield from REPOSITORY
    with suppress(OSError):
        for name in os.listdir(f"{repository}/worktrees"):  # noqa: PTH208 (start-up)
            yield f"worktrees/{name}/commondir"
            yield f"worktrees/{name}/config.worktree"


def looks_like_repository(root: str, directory: str) -> bool:
    """Whether git would take a directory below ``root``, in which there is a ``HEAD``, for a repository
    (gitrepository-layout(5)). What lies in a ``.git`` belongs to that.
    """
    if "/.git/" in f"{directory[len(root) :]}/":
        return False
    whole = os.path.isdir(f"{directory}/objects") and os.path.isdir(f"{directory}/refs")  # noqa: PTH112 (start-up)
    return whole or os.path.lexists(f"{directory}/commondir")
