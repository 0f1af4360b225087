"""Editing the policy file: show what changes, ask, make sure that the result loads, replace the file in one step."""

from __future__ import annotations

import difflib
import os
import secrets
import stat
from pathlib import Path
from typing import Literal

import click

from outward.cli.policy_file import read_trusted
from outward.cli.registries import ClientRegistries
from outward.core import HostError, OutwardError, PolicyError
from outward.policy import Policy, load
from outward.policy.edit import Target, add_rule, parse_target


def edit(file: Path, action: Literal["allow", "deny"], rule: str, *, yes: bool, interactive: bool) -> int:
    """Adds a rule to the file. The exit status is 0 if the rule is in the file now, 1 if the user said no.

    Raises :class:`OutwardError` where the edit cannot be made or confirmed.
    """
    file = file.resolve()  # a linked file is edited, not replaced by a copy
    target = parse_target(rule)
    before = read_trusted(file)
    after = add_rule(before, str(file), action, target)
    if after == before:
        click.echo(f"{file} has this rule already")
        return 0
    policy = _load(file, after)
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), str(file), f"{file} (new)", lineterm="")
    click.echo("\n".join(diff))
    _warn(policy, action, target)
    if not yes:
        if not interactive:
            raise OutwardError(
                "nothing was changed: there is no terminal to ask on", hint="Add --yes to make the change."
            )
        if not click.confirm(f"Change {file}?", default=False):
            click.echo("nothing was changed")
            return 1
    if read_trusted(file) != before:
        raise OutwardError(f"{file} has changed in the meantime; nothing was written", hint="Run the command again.")
    replace(file, after)
    return 0


def _load(file: Path, text: str) -> Policy:
    """Loads the new text as if it stood in the file. Raises :class:`PolicyError` if it would not be a policy."""

    def read(path: Path) -> str:
        return text if path == file else read_trusted(path)

    try:
        registries = ClientRegistries(avoid=(Path.cwd(),))
        return load(file, registries=registries, home=Path.home(), files=read)
    except PolicyError as error:
        raise PolicyError(
            error.problems, hint="With this rule the policy would not load; nothing was changed."
        ) from None


def _warn(policy: Policy, action: str, target: Target) -> None:
    """Says so where a stronger rule, or one for the whole host, makes the new one idle."""
    if action != "allow":
        return
    host = [d for d in policy.destinations if (d.host, d.scheme, d.port) == (target.host, target.scheme, target.port)]
    denying = [rule.name for d in host for rule in d.rules if rule.action != "allow"]
    if denying:
        click.echo(f"note: these rules of the host are stronger: {', '.join(denying)}", err=True)


def replace(file: Path, text: str) -> None:
    """Puts ``text`` in the file's place: all of it or nothing, with the same mode. Raises :class:`HostError`."""
    mode = stat.S_IMODE(file.stat().st_mode)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}", hint="Nothing was changed.") from error
    finally:
        temporary.unlink(missing_ok=True)
