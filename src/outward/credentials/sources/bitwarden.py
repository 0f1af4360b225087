"""``{bitwarden: {item: …}}`` and ``{bitwarden: {secret: …}}``: Bitwarden, through its programs ``bw`` and ``bws``.

The programs, because Bitwarden keeps nothing but what they can decrypt. ``bw`` reads the password manager, unlocked in the
environment that Outward is started in (``BW_SESSION``); ``bws`` the Secrets Manager, with ``BWS_ACCESS_TOKEN``.
https://bitwarden.com/help/cli/#get, https://bitwarden.com/help/secrets-manager-cli/#secret-get
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outward.core import SecretUnavailable
from outward.credentials.kept import Fetched
from outward.credentials.parts import WHOLE, fields_of, json_object
from outward.credentials.sources.programs import output_of

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The fields of an item, of which the password is the one that is meant where none is named; or a secret's value."""
    settings = spec.settings
    if "item" in settings:
        argv: tuple[str, ...] = ("bw", "get", "item", settings["item"], "--nointeraction")
        hint = 'Unlock Bitwarden where you start outward: export BW_SESSION="$(bw unlock --raw)"'
    else:
        argv = ("bws", "secret", "get", settings["secret"], "--output", "json")
        hint = "Set BWS_ACCESS_TOKEN where you start outward; `bws secret get` with the same id tells what is wrong."
    document = json_object(await output_of(spec.name, argv, outside.environment, hint=hint))
    if document is None:
        raise SecretUnavailable(spec.name, f"{argv[0]} printed something that is not JSON")
    if "item" in settings:
        return Fetched(_fields(document))
    value = document.get("value")
    if not isinstance(value, str):
        raise SecretUnavailable(spec.name, "bws printed no secret")
    return Fetched(value.encode())


def _fields(item: dict[str, Any]) -> dict[str, bytes]:
    """A log-in's ``username``, ``password`` and ``totp``; the ``notes``; and the fields that the person has added."""
    login, custom = item.get("login"), item.get("fields")
    found: dict[str, Any] = {}
    for field in custom if isinstance(custom, list) else ():
        if isinstance(field, dict) and isinstance(field.get("name"), str):
            found[field["name"]] = field.get("value")
    found["notes"] = item.get("notes")
    if isinstance(login, dict):
        # Last: a field of the person's own that is called "password" is not taken for the password.
        found |= {name: login.get(name) for name in ("username", "password")}
        found[WHOLE] = login.get("password")
    return fields_of(found)
