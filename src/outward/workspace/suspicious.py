"""Changes that a person should look at twice: what is written here is run or obeyed later, outside of any sandbox, without
being asked for.

The table has patterns by reason. It is not about code: whoever builds or starts what an agent has written runs it, and that
is what a review is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.workspace.patterns import Globs
from outward.workspace.tree import is_file, is_link

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

SUSPICIOUS: Final[dict[str, tuple[str, ...]]] = {
    # Globs in lower case; one without a slash is a name at any depth.
    "git runs it": (
        "**/.git/hooks/**",
        "**/.git/modules/**/hooks/**",
        ".husky",
        "**/.husky/**",
        ".githooks",
        "**/.githooks/**",
    ),
    "git obeys it, and its settings can name programs": (
        "**/.git/config",
        "**/.git/config.worktree",
        "**/.git/modules/**/config",
        "**/.git/info/attributes",
        ".gitconfig",
        ".gitattributes",
    ),
    "it tells git where a repository, its settings or its objects are": (
        ".git",
        ".gitmodules",
        "commondir",
        "**/.git/worktrees/*/gitdir",
        "**/.git/worktrees/*/config.worktree",
        "**/.git/objects/info/alternates",
    ),
    "an unfinished rebase runs what it says": ("**/.git/rebase-merge/**",),
    "a tool runs it before each commit": (
        ".pre-commit-config.yaml",
        "lefthook.y*ml",
        ".lefthook.y*ml",
        ".overcommit.yml",
    ),
    "it runs in continuous integration, which has secrets": (
        "**/.github/workflows/**",
        "**/.github/actions/**",
        ".gitlab-ci.yml",
        "**/.gitlab/ci/**",
        "**/.circleci/**",
        "**/.buildkite/**",
        "**/.woodpecker/**",
        "**/.forgejo/**",
        "**/.gitea/**",
        ".woodpecker.y*ml",
        ".travis.yml",
        ".drone.yml",
        ".cirrus.yml",
        "appveyor.yml",
        "azure-pipelines*.yml",
        "bitbucket-pipelines.yml",
        "cloudbuild.y*ml",
        "jenkinsfile",
    ),
    "agents outside of a sandbox take their settings, tools or commands from it": (
        ".claude",
        "**/.claude/**",
        ".codex",
        "**/.codex/**",
        ".gemini",
        "**/.gemini/**",
        ".cursor",
        "**/.cursor/**",
        ".windsurf",
        "**/.windsurf/**",
        ".continue",
        "**/.continue/**",
        ".aider*",
        ".mcp.json",
        "mcp.json",
        "opencode.json*",
    ),
    "agents outside of a sandbox follow it": (
        "claude.md",
        "claude.local.md",
        "agents.md",
        "agents.override.md",
        "gemini.md",
        ".cursorrules",
        ".windsurfrules",
        ".clinerules",
        "**/.github/copilot-instructions.md",
        "**/.github/instructions/**",
        "**/.github/prompts/**",
    ),
    "an editor runs or obeys it": (
        ".vscode",
        "**/.vscode/**",
        "*.code-workspace",
        ".idea",
        "**/.idea/**",
        ".fleet",
        "**/.fleet/**",
        ".zed",
        "**/.zed/**",
        "*.sublime-project",
        ".exrc",
        ".vimrc",
        ".nvimrc",
        ".nvim.lua",
        ".dir-locals*.el",
        ".gdbinit",
        ".lldbinit",
    ),
    "it builds or starts a container or a machine": (
        ".devcontainer",
        "**/.devcontainer/**",
        ".devcontainer.json",
        "vagrantfile",
    ),
    "a shell runs it": (
        ".profile",
        ".bashrc",
        ".bash_profile",
        ".bash_login",
        ".bash_logout",
        ".bash_aliases",
        ".zshrc",
        ".zshenv",
        ".zprofile",
        ".zlogin",
        ".zlogout",
        ".inputrc",
    ),
    "it changes the environment of whoever enters the directory": (
        ".envrc",
        ".mise.toml",
        "mise.toml",
        "**/.mise/**",
        ".tool-versions",
        ".autoenv",
        ".env.fish",
    ),
    "a package manager or build tool obeys it, and its settings can name programs": (
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        "**/.yarn/plugins/**",
        "**/.yarn/releases/**",
        ".pnpmfile.cjs",
        "**/.cargo/config",
        "**/.cargo/config.toml",
        ".bazelrc",
        "**/.mvn/**",
        "**/gradle/wrapper/**",
        "pip.conf",
        ".pypirc",
    ),
    "Python runs it at every start": ("sitecustomize.py", "usercustomize.py", "*.pth"),
    "a search tool obeys it, and its settings can name programs": (".ripgreprc",),
}

HARMLESS: Final = ("**/.git/hooks/*.sample",)
"""Looks like the above and does nothing."""

_RULES: Final = tuple((reason, Globs(patterns)) for reason, patterns in SUSPICIOUS.items())
_HARMLESS: Final = Globs(HARMLESS)


def suspicions(
    path: str, before: os.stat_result | None, after: os.stat_result | None, target: str | None
) -> Iterator[str]:
    """Why a change should be looked at twice. ``target`` is the text of a link."""
    lower = path.lower()
    harmless = _HARMLESS.match(lower)
    if not harmless:
        yield from (reason for reason, rule in _RULES if rule.match(lower))
    was_executable = is_file(before) and _executable(before)
    if is_file(after) and _executable(after) and not was_executable and not harmless:
        yield "it becomes executable"
    if is_link(after) and target is not None and _leaves(path, target):
        yield f"it leads out of the workspace, to {target}"


def _executable(status: os.stat_result | None) -> bool:
    return status is not None and bool(status.st_mode & 0o111)


def _leaves(path: str, target: str) -> bool:
    """Whether a link leads out by its own text. Links that it leads over are judged for themselves."""
    if target.startswith("/"):
        return True
    depth = path.count("/")
    for piece in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(piece, 1)
        if depth < 0:
            return True
    return False
