"""What stays read-only in a writable workspace, because it takes effect outside of the sandbox.

Hooks and settings that a tool of the user runs or obeys later. Only what exists when the session starts can be fixed; what
the agent creates afterwards is not caught here.
"""

from __future__ import annotations

from typing import Final

FIXED: Final[dict[str, tuple[str, ...]]] = {
    # A name at any depth, and which paths below it are fixed; none means the thing itself. A directory with fixed paths
    # cannot be renamed either, so that no other takes its place.
    ".git": ("config", "config.worktree", "hooks", "info/attributes", "modules"),
    ".claude": ("settings.json", "settings.local.json", "commands", "agents", "hooks", "skills"),
    ".codex": (),
    ".gemini": ("settings.json", ".env", "extensions", "commands"),
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
