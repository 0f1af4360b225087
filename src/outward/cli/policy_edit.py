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
from outward.core import Action, HostError, OutwardError, PolicyError
from outward.policy import Policy, load
from outward.policy.edit import Target, add_rule, parse_target
from outward.policy.globs import Glob, folded_glob
from outward.policy.texts import rule_line


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
    """Says so where a stronger rule takes a part of what is allowed back."""
    if action != "allow":
        return
    methods, path = rule_line(target.rule)
    allowed = Glob(folded_glob(path), wide=True)
    for destination in policy.destinations:
        if (destination.host, destination.scheme, destination.port) != (target.host, target.scheme, target.port):
            continue
        for rule in destination.rules:
            shared = methods is None or rule.methods is None or not methods.isdisjoint(rule.methods)
            if rule.action is Action.ALLOW or not shared:
                continue
            if allowed.meets(Glob(folded_glob(rule.path or "/**"), wide=True)):
                click.echo(f"note: {rule.name!r} is stronger where both match", err=True)


def replace(file: Path, text: str) -> None:
    """Puts ``text`` in the file's place: all of it or nothing, with the same owner and mode. Raises :class:`HostError`."""
    status = file.stat()
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), status.st_uid, status.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(status.st_mode))
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise HostError(f"cannot write {file}: {error.strerror}", hint="Nothing was changed.") from error
    finally:
        temporary.unlink(missing_ok=True)
