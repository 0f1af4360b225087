"""``outward secret``: secrets that are kept on this machine, and what was done with each."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Final

import click

from outward.cli.asking import ask_hidden, ask_new_passphrase, unlock, unlock_for, with_store
from outward.cli.declaring import Group, json_option, policy_option
from outward.cli.home import state_directory
from outward.cli.policy_file import load_policy
from outward.cli.saying import say, say_error
from outward.cli.secret_import import import_command
from outward.cli.secret_list import rows, table
from outward.core import HostError, OutwardError, SecretUnavailable
from outward.credentials.local.place import PASSPHRASE_FILE, default_key_file, passphrase_file
from outward.credentials.local.store import MAX_VALUE, LocalStore
from outward.credentials.memory import conceal
from outward.policy import Policy, SecretSpec
from outward.policy.secret_fields import NAME

EXIT_UNAVAILABLE: Final = 1

_DOCUMENT: Final = re.compile(r"-----BEGIN |\s*\{")
"""How a secret begins that has several lines: PEM, JSON."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_DOCUMENT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_PASSPHRASE_FILE = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"What opens the encrypted file, if a passphrase does; else {PASSPHRASE_FILE}, else the terminal is asked.",
)


@click.group("secret", cls=Group)
def command() -> None:
    """Keep secrets on this machine, in the system keyring or else in an encrypted file; see what was done with each.

    \b
      outward secret set github             asks for the value
      pass show github | outward secret set github
    and in the policy:
      secrets: {github: {keyring: github}}
    """
    conceal()
    state_directory()


@command.command("set", short_help="Keep a secret; the value is asked for, or read.")
@click.argument("name")
@click.option(
    "--file", "in_file", is_flag=True, help="Keep it in the encrypted file, even where a system keyring works."
)
@_PASSPHRASE_FILE
def set_command(name: str, in_file: bool, passphrase_file: Path | None) -> None:
    """Keep a secret under NAME. The value is asked for, or read from standard input; it is never an argument.

    Where it was kept before it stays; a new one goes to the system keyring if one works here, else to the encrypted file.
    """
    if not re.fullmatch(str(NAME.pattern), name):
        raise click.BadParameter(f"{name!r} is not {NAME.accepted}", param_hint="NAME")
    value = _value(name)
    environment = _environment(passphrase_file)
    store = LocalStore(environment)
    entry = with_store(store, environment, lambda: store.put(name, value, in_file=in_file))
    click.echo(f"{name} is in the {entry.home}; in the policy: {name}: {{keyring: {name}}}")


@command.command("list", short_help="Where each is kept, went, and nearly leaked.")
@policy_option
@json_option
def list_command(policy_file: Path | None, as_json: bool) -> None:
    """Show the secrets of the policy and of this machine: where each is kept, where it went, and where it nearly leaked.

    A leak is a request that carried the placeholder to where it does not belong: refused, or recorded where the policy says so.
    """
    policy = Policy()
    try:
        policy = load_policy(policy_file)
    except OutwardError as error:
        say(f"without the policy, which cannot be used: {error.message}")
    found = rows(policy, LocalStore(_environment(None)).entries(), state_directory() / "journal")
    click.echo(json.dumps([row.document() for row in found]) if as_json else table(found))


@command.command("rm", short_help="Remove a secret from this machine.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_PASSPHRASE_FILE
def rm_command(name: str, yes: bool, passphrase_file: Path | None) -> None:
    """Remove the secret NAME from this machine. It stays valid where it came from: revoke it there."""
    environment = _environment(passphrase_file)
    store = LocalStore(environment)
    entry = store.entries().get(name)
    if entry is None:
        raise OutwardError(f"no secret {name!r} is kept here", hint="outward secret list")
    if not yes and not click.confirm(f"Remove {name} from the {entry.home}?", err=True):
        say(f"{name} is kept")
        raise click.Abort
    with_store(store, environment, lambda: store.delete(name))
    click.echo(f"{name} is removed")


command.add_command(import_command)


@command.command("test", short_help="Whether a secret can be had, from any source.")
@click.argument("name")
@policy_option
@json_option
@_PASSPHRASE_FILE
def test_command(name: str, policy_file: Path | None, as_json: bool, passphrase_file: Path | None) -> int:
    """Fetch the secret NAME of the policy, whatever its source, and say whether it can be had. The value is not shown.

    A name that is in no policy is looked for in the local store. Exit status 1 if it cannot be had.
    """
    environment = _environment(passphrase_file)
    policy = load_policy(policy_file)
    spec = policy.secrets.get(name)
    if spec is None:
        if name not in LocalStore(environment).entries():
            raise OutwardError(
                f"there is no secret {name!r}, neither in the policy nor here", hint="outward secret list"
            )
        spec = SecretSpec(name, "keyring", name)
    specs = {**policy.secrets, name: spec}
    needed = {each: specs[each] for each in _needed(specs, name)}
    try:
        unlock_for(Policy(secrets=needed), environment)
        length, seconds = _fetch(needed, name, environment)
    except (SecretUnavailable, HostError) as error:
        if as_json:
            click.echo(json.dumps({"name": name, "available": False, "error": error.message, "hint": error.hint}))
        else:
            say_error(error)
        return EXIT_UNAVAILABLE
    source = spec.source
    if as_json:
        document = {"name": name, "available": True, "source": source, "length": length, "fetched_again_after": seconds}
        click.echo(json.dumps(document))
    else:
        again = "for as long as outward runs" if seconds is None else f"for {seconds} s, then fetched again"
        click.echo(f"{name}: available from {source}; {length} characters; used {again}")
    return 0


@command.command("init", short_help="Choose what opens the encrypted file.")
@click.option(
    "--key-file",
    metavar="[FILE]",
    is_flag=False,
    flag_value="",
    help="Make a key file that opens it, for machines where nobody can be asked; else a passphrase does.",
)
@_PASSPHRASE_FILE
def init_command(key_file: str | None, passphrase_file: Path | None) -> None:
    """Make the encrypted file, or change what opens it: what is in there stays.

    Whoever can read a key file can read the secrets: keep it off backups that hold both. The default is
    ~/.config/outward/secrets.key.
    """
    from outward.credentials.local.sealed import new_opening
    from outward.credentials.local.unlocking import make_key_file

    environment = _environment(passphrase_file)
    store = LocalStore(environment)
    before = store.encrypted.public()
    unlock(store.encrypted, environment)
    if key_file is None:
        store.create(*new_opening().new_key(_first_passphrase(environment, exists=before is not None)))
        click.echo("a passphrase opens the encrypted secrets")
    else:
        path = Path(key_file).absolute() if key_file else default_key_file(environment)
        material = make_key_file(path)
        try:
            store.create(*new_opening(str(path)).new_key(material))
        except HostError:
            now = store.encrypted.public()
            if now is None or now.opening.key_file != str(path):
                path.unlink()
            raise
        click.echo(f"{path} opens the encrypted secrets; without it they are lost")
    if before is not None and before.opening.key_file:
        click.echo(f"{before.opening.key_file} opens nothing any more; remove it")


def _first_passphrase(environment: dict[str, str], *, exists: bool) -> bytes:
    from outward.credentials.local.unlocking import passphrase

    # The file with the passphrase opens what is there already: it cannot hold the new one as well.
    return passphrase(environment) if passphrase_file(environment) and not exists else ask_new_passphrase()


def _environment(file: Path | None) -> dict[str, str]:
    """The caller's environment, in which the option stands for the variable."""
    return dict(os.environ) | ({PASSPHRASE_FILE: str(file.absolute())} if file is not None else {})


def _value(name: str) -> bytes:
    """From the terminal without showing it, else all of standard input, less its last line end. Raises :class:`OutwardError`."""
    if sys.stdin.isatty():
        value = ask_hidden(f"Value of {name}").encode("utf-8", "surrogateescape")
    else:
        value = sys.stdin.buffer.read(MAX_VALUE + 3).removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise OutwardError(
            "this is no UTF-8 text, so no service takes it", hint="Encode it, for instance in base64."
        ) from None
    if not text.strip():
        raise OutwardError("this is empty; nothing was changed")
    control = (_CONTROL_IN_DOCUMENT if _DOCUMENT.match(text) else _CONTROL).search(text)
    if control is not None:
        raise OutwardError(
            f"this holds the control character U+{ord(control[0]):04X}, with which no header can be sent; nothing was changed",
            hint='Only PEM and JSON have several lines. printf %s "$TOKEN" prints none at the end.',
        )
    return value


def _needed(specs: dict[str, SecretSpec], name: str) -> set[str]:
    """The secret and those that its source needs, which needs none that needs it."""
    return {name}.union(*(_needed(specs, other) for other in specs[name].needs))


def _fetch(specs: dict[str, SecretSpec], name: str, environment: dict[str, str]) -> tuple[str, int | None]:
    """The length class of the value, and for how many seconds it is used. Raises :class:`SecretUnavailable`."""
    import asyncio
    import time

    from outward.credentials import CredentialStore

    store = CredentialStore(specs, environment=environment)
    length = len(asyncio.run(store.get(name)).reveal())
    left = store.expiry(name) - time.monotonic()
    return _length_class(length), None if left == float("inf") else round(left)


def _length_class(length: int) -> str:
    """Not the length itself: of a password that would say too much."""
    least = 1 << (length.bit_length() - 1)
    return f"{least} to {2 * least - 1}"
