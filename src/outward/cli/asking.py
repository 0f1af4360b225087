"""What is asked of a person, and what opens the encrypted secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeVar

import click

from outward.cli.saying import say
from outward.core import HostError
from outward.credentials.local import unlocking
from outward.credentials.local.encrypted import EncryptedFile
from outward.credentials.local.place import ENCRYPTED, descriptor_of, passphrase_file, secrets_directory
from outward.credentials.local.sealed import WrongKey, new_opening
from outward.credentials.local.system import is_installed
from outward.credentials.store import CAPTURED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    from outward.credentials.local.store import LocalStore
    from outward.policy import Policy

T = TypeVar("T")

SHORTEST: Final = 8
"""Characters of a new passphrase; each guess takes half a second, which is no help to shorter ones."""
_TRIES: Final = 3


def has_terminal() -> bool:
    """Whether there is somebody to ask, wherever standard input comes from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def ask_hidden(question: str) -> str:
    """An answer that does not show. Raises :class:`HostError` where there is nobody to ask, ``EOFError`` for an end of input."""
    if not has_terminal():
        raise HostError(f"there is no terminal to ask for: {question}")
    import getpass  # here: it takes the terminal's settings apart

    return getpass.getpass(f"{question}: ")


def ask_new_passphrase() -> bytes:
    """A passphrase that was typed twice."""
    click.echo(f"A passphrase will open the encrypted secrets; {SHORTEST} characters or more.", err=True)
    while True:
        first = ask_hidden("New passphrase")
        if len(first) < SHORTEST:
            say("this is too short")
        elif first != ask_hidden("The same again"):
            say("these are not the same")
        else:
            return first.encode("utf-8", "surrogateescape")


def unlock(file: EncryptedFile, environment: Mapping[str, str]) -> None:
    """Gets the key, asking for the passphrase where nothing else opens the file. Raises what :func:`unlocking.key_of` does."""
    public = file.public()
    if public is None or unlocking.is_unlocked(public.opening):
        return
    at_hand = public.opening.key_file or passphrase_file(environment) is not None
    if at_hand or not has_terminal():
        unlocking.key_of(public.opening, environment)
        return
    for left in reversed(range(_TRIES)):
        answer = ask_hidden("Passphrase of the encrypted secrets")
        try:
            unlocking.unlock(public.opening, answer.encode("utf-8", "surrogateescape"))
            return
        except WrongKey as error:
            if not left:
                raise
            say(error.message)


def with_store(store: LocalStore, environment: Mapping[str, str], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What ``work`` gives; where the encrypted file is locked, or has to be made, a person is asked and it is done again."""
    import asyncio

    try:
        return asyncio.run(work())
    except unlocking.Locked:
        if not has_terminal():
            raise
    if store.encrypted.public() is None:
        store.create(*new_opening().new_key(ask_new_passphrase()))
    else:
        unlock(store.encrypted, environment)
    return asyncio.run(work())


def unlock_for(policy: Policy, environment: Mapping[str, str]) -> None:
    """Before anything is started: asks for the passphrase if the policy's secrets will need it, for then nobody can be asked.

    A file with the passphrase is read when it is needed; unless it can be read only once, or by one process.
    """
    wanted = {spec.argument for spec in policy.secrets.values() if spec.source == "keyring"}
    # Refresh tokens that follow the first one are kept there, under names that depend on its value.
    rotating = any(spec.source == "oauth" and "refresh_token" in spec.settings for spec in policy.secrets.values())
    # So is what log-ins bring.
    captures = any(spec.source == CAPTURED for spec in policy.secrets.values())
    if not wanted and not rotating and not captures:
        return
    file = EncryptedFile(secrets_directory(environment) / ENCRYPTED)
    public = file.public()
    if public is None and captures and not is_installed():
        click.echo(
            "outward: nothing here keeps what a log-in inside brings, so log-ins will be refused: outward secret init",
            err=True,
        )
    if (
        public is None
        or public.opening.key_file
        or (wanted.isdisjoint(public.entries) and not rotating and not captures)
    ):
        return
    path = passphrase_file(environment)
    if path is None and not has_terminal():
        say("the encrypted secrets are locked; requests that need them will be refused")
    elif path is None or descriptor_of(path) is not None:
        unlock(file, environment)
