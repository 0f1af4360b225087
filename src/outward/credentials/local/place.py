"""Where the local store is, told by the caller's environment: ``secrets/`` in the state directory."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core.expressions import expression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PASSPHRASE_FILE: Final = "OUTWARD_PASSPHRASE_FILE"  # noqa: S105
"""The variable that names the file with the passphrase."""
ENCRYPTED: Final = "encrypted"
"""The encrypted file's name."""
INDEX: Final = "keyring.json"
"""The name of the list of what is in the system keyring, which has no way to ask for it."""
_DESCRIPTOR: Final = expression(r"/(?:dev|proc/self)/fd/([0-9]{1,9})", re.ASCII)


def home_directory(environment: Mapping[str, str]) -> Path:
    """``$HOME``, else what the system knows of the user."""
    return Path(environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def state_root(environment: Mapping[str, str]) -> Path:
    """``$OUTWARD_HOME``, else ``~/.local/state/outward``; whether it is there or not."""
    configured = environment.get("OUTWARD_HOME")
    if configured:
        return in_home(configured, environment)
    return home_directory(environment) / ".local" / "state" / "outward"


def secrets_directory(environment: Mapping[str, str]) -> Path:
    """The directory of the local store."""
    return state_root(environment) / "secrets"


def default_key_file(environment: Mapping[str, str]) -> Path:
    """Where a key file is made unless told otherwise: not beside what it opens, so that a copy of one is not one of both."""
    return home_directory(environment) / ".config" / "outward" / "secrets.key"


def passphrase_file(environment: Mapping[str, str]) -> Path | None:
    """The file that ``$OUTWARD_PASSPHRASE_FILE`` names."""
    named = environment.get(PASSPHRASE_FILE)
    return in_home(named, environment).absolute() if named else None


def descriptor_of(path: Path) -> int | None:
    """The number of a descriptor of this process (``/dev/fd/3``, as shells make of ``<(…)``), which can be read once only."""
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else None


def in_home(text: str, environment: Mapping[str, str]) -> Path:
    """A path, ``~/`` being the home directory."""
    return home_directory(environment) / text[2:] if text.startswith("~/") else Path(text)


def opening_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """The files that open the store, wherever they are: no sandbox may see them."""
    named = passphrase_file(environment)
    if named is not None and descriptor_of(named) is None:
        yield named
    sealed = secrets_directory(environment) / ENCRYPTED
    if sealed.exists():
        from outward.credentials.local.encrypted import EncryptedFile  # here: few have one, and starts must be quick

        public = EncryptedFile(sealed).public()
        if public is not None and public.opening.key_file:
            yield Path(public.opening.key_file)
