"""``{onepassword: "op://vault/item/field"}``: 1Password, through its program ``op``.

The program rather than an SDK: it is how a person is logged in, by fingerprint and the desktop application as well as by
``OP_SERVICE_ACCOUNT_TOKEN`` or a Connect server, and the reference is checked by the one who defines it.
https://developer.1password.com/docs/cli/reference/commands/read
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outward.core import SecretUnavailable
from outward.credentials.kept import Fetched
from outward.credentials.sources.programs import output_of

if TYPE_CHECKING:
    from outward.credentials.sources import Outside
    from outward.policy import SecretSpec


async def fetch(spec: SecretSpec, outside: Outside) -> Fetched:
    """The field that the reference names."""
    argv = ("op", "read", "--no-newline", str(spec.argument))
    hint = "Is the 1Password program installed and signed in? `op read` with the same reference tells."
    value = await output_of(spec.name, argv, outside.environment, hint=hint)
    if not value:
        raise SecretUnavailable(spec.name, "op printed nothing", hint=hint)
    return Fetched(value)
