"""``{keyring: NAME}``: what ``outward secret set NAME`` keeps; ``{keyring: {service, username}}``: what others keep there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core import HostError, SecretUnavailable
from outward.credentials.kept import Fetched
from outward.credentials.local.store import LocalStore
from outward.credentials.local.system import SystemKeyring

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The value from the local store, or from the system keyring by service and user."""
    try:
        if isinstance(spec.argument, tuple):
            return Fetched(await _entry(spec, SystemKeyring(outside.environment)))
        name = str(spec.argument)
        value = await LocalStore(outside.environment).get(name)
    except HostError as error:
        raise SecretUnavailable(spec.name, error.message, hint=error.hint) from error
    if value is None:
        raise SecretUnavailable(spec.name, f"{name!r} was never set", hint=f"outward secret set {name}")
    return Fetched(value)


async def _entry(spec: SecretSpec, keyring: SystemKeyring) -> bytes:
    service, username = spec.settings["service"], spec.settings["username"]
    value = await keyring.get(service, username)
    if not value:
        raise SecretUnavailable(
            spec.name,
            f"the system keyring has nothing for service {service!r} and user {username!r}",
            hint=f"keyring set {service!r} {username!r}",
        )
    return value.encode()
