"""What opens the encrypted file, and the key that it makes: once in a process, which others inherit when it forks.

A key file of our own making, or a passphrase: from the file that ``$OUTWARD_PASSPHRASE_FILE`` names, or from a person, whom only
``cli`` may ask. Never from an argument and never from a variable: other processes could read both.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.credentials.local import files
from outward.credentials.local.place import PASSPHRASE_FILE, descriptor_of, passphrase_file
from outward.credentials.local.sealed import Key, WrongKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outward.credentials.local.sealed import Opening

MAX_PASSPHRASE: Final = 4096
"""Octets; enough for any, and a device or a log is none."""
_KEY_TEXT: Final = re.compile(rb"[0-9a-f]{64}")

_keys: Final[dict[bytes, Key]] = {}  # by salt: whoever changes the passphrase changes the salt
_deriving: Final = threading.Lock()  # one at a time, for each takes much memory


class Locked(HostError):
    """Nothing is at hand that opens the encrypted file."""


def unlock(opening: Opening, material: bytes) -> Key:
    """The key that ``material`` makes, kept from now on. Raises :class:`WrongKey`."""
    with _deriving:
        key = opening.derive(material)
    if key.check != opening.check:
        what = f"the key file {opening.key_file}" if opening.key_file else "this passphrase"
        raise WrongKey(f"{what} does not open the encrypted file")
    keep(opening, key)
    return key


def keep(opening: Opening, key: Key) -> None:
    """Remembers the key of a file that was made now."""
    _keys[opening.salt] = key


def is_unlocked(opening: Opening) -> bool:
    """Whether this process has the key already."""
    return opening.salt in _keys


def key_of(opening: Opening, environment: Mapping[str, str]) -> Key:
    """The key, from what is at hand without asking anybody. May take half a second.

    Raises :class:`Locked` where there is nothing, :class:`WrongKey` where it is the wrong one, :class:`HostError` where a file
    is not ours alone.
    """
    if (key := _keys.get(opening.salt)) is not None:
        return key
    if opening.key_file:
        return unlock(opening, read_key_file(Path(opening.key_file)))
    return unlock(opening, passphrase(environment))


def passphrase(environment: Mapping[str, str]) -> bytes:
    """What is in the file that ``$OUTWARD_PASSPHRASE_FILE`` names. Raises :class:`Locked` or :class:`HostError`."""
    path = passphrase_file(environment)
    if path is None:
        raise Locked(
            "the encrypted file of secrets is locked, and there is nobody to ask for its passphrase",
            hint=(
                f"Set {PASSPHRASE_FILE} to a file (chmod 600) that holds it, "
                "or let a key file open it: outward secret init --key-file"
            ),
        )
    return read_passphrase(path)


def read_passphrase(path: Path) -> bytes:
    """The first line of a file of ours alone, or all that a descriptor has to say. Raises :class:`HostError`."""
    if (descriptor := descriptor_of(path)) is not None:
        try:
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_PASSPHRASE + 1)
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error
    else:
        found = files.read(path, limit=MAX_PASSPHRASE)
        if found is None:
            raise HostError(f"the passphrase file {path} does not exist")
        content = found
    line = content.split(b"\n", 1)[0].rstrip(b"\r")
    if not line or len(content) > MAX_PASSPHRASE:
        raise HostError(f"{path} holds no passphrase", hint="It is the first line of the file.")
    return line


def read_key_file(path: Path) -> bytes:
    """The key file's octets. Raises :class:`HostError`."""
    content = files.read(path, limit=MAX_PASSPHRASE)
    if content is None:
        raise Locked(f"the key file {path} does not exist", hint="Without it the encrypted file cannot be opened.")
    text = content.strip()
    if not _KEY_TEXT.fullmatch(text):
        raise HostError(f"{path} is no key file")
    return bytes.fromhex(text.decode("ascii"))


def make_key_file(path: Path) -> bytes:
    """Makes one, 0600; gives its octets. Raises :class:`HostError`, also where there is one already."""
    material = secrets.token_bytes(32)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make {path.parent}: {error.strerror}") from error
    if os.path.lexists(path):
        raise HostError(f"{path} exists already, and may open something", hint="Name another file.")
    files.write(path, material.hex().encode("ascii") + b"\n", replace=False)
    return material
