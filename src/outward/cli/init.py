"""``outward init``: a starter policy from what this machine has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import click

from outward.cli.policy_file import default_policy_file
from outward.core import HostError, OutwardError
from outward.core.records import NamedTuple


class _Agent(NamedTuple):
    preset: str
    program: str
    variable: str


_AGENTS: Final = {
    # The agents that a preset exists for, and the variable in which each expects its key.
    "claude": _Agent("claude-code", "claude", "ANTHROPIC_API_KEY"),
    "codex": _Agent("codex", "codex", "CODEX_API_KEY"),
    "gemini": _Agent("gemini-cli", "gemini", "GEMINI_API_KEY"),
}
_TOOLS: Final = {"git": "git-read", "npm": "npm-install", "pip": "pip-install", "cargo": "cargo-fetch"}

_TEXT: Final = """\
# What an agent may reach, with which credential, and what it sees of the disk. Nothing else is possible.
#
#   outward check POST https://api.github.com/gists     what would this policy say?
#   outward policy show                                 the presets
#   outward policy schema                               every field, for editors
version: 1

# Presets by name, files by path (relative to this one).
use:
{used}
# The values stay outside the sandbox; inside, a variable named by `expose` holds a placeholder.
# secrets:
#   github: {{env: GITHUB_TOKEN, expose: GITHUB_TOKEN}}

# Nothing that is not allowed can be reached. A deny is stronger than every allow; order never matters.
# destinations:
#   - host: api.github.com
#     allow: ["GET,HEAD /repos/acme/**", POST /repos/acme/web/pulls]
#     deny: ["* /gists/**"]
#     inject:
#       - {{header: authorization, value: "Bearer {{github}}"}}

# What the sandbox sees of the workspace, besides what is always hidden (.env files, keys, cloud credentials).
# workspace:
#   mode: write
#   hide: ["secrets/**"]

# sandbox:
#   limits: {{memory: 4G, pids: 512, time: 2h}}
#   env: {{pass: [LANG, TERM]}}
"""


@click.command("init")
@click.option("--agent", type=click.Choice(list(_AGENTS)), help="Only for this agent; otherwise for those found here.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it.")
def command(agent: str | None, policy_file: Path | None) -> None:
    """Write a commented starter policy from the agents and credentials on this machine. Never overwrites."""
    configured = os.environ.get("OUTWARD_POLICY")
    file = policy_file or (Path(configured).expanduser() if configured else default_policy_file())
    chosen = [agent] if agent else [name for name, each in _AGENTS.items() if shutil.which(each.program)]
    _write(file, _TEXT.format(used="".join(_used(chosen or ["claude"], found=bool(chosen)))))
    click.echo(f"wrote {file}")
    for name in chosen:
        variable = _AGENTS[name].variable
        state = "is set" if os.environ.get(variable) else "is not set: set it where you start outward"
        click.echo(f"  {name}: the key comes from {variable}, which {state}")
    if not chosen:
        click.echo("  no agent was found on PATH; the policy names the one that most people start with")


def _used(agents: list[str], *, found: bool) -> list[str]:
    lines = []
    for name in agents:
        each = _AGENTS[name]
        lines.append(
            f"  - {each.preset:<14}# its key: ${each.variable}{'' if found else '; not found on this machine'}\n"
        )
    for program, preset in _TOOLS.items():
        if shutil.which(program):
            lines.append(f"  # - {preset:<12}# {program} is on this machine\n")
    return lines


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise OutwardError(
            f"{file} is there already and is not touched", hint="Edit it, or name another file."
        ) from None
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}", hint="Name another file with --policy.") from error
