"""The format of the encrypted file: octets in, octets out, no file.

Two lines. The first is JSON that anybody may read: how the key is made, and the names of what is kept with the time when it was
set. The second is base64 of a nonce of 12 octets and of AES-256-GCM over all the values together, with the first line, as it
stands there, as associated data (NIST SP 800-38D). So nothing can be changed, swapped, added or taken away in either line,
except all of both together: that an older copy of the whole file was put in place cannot be seen from it.

The nonce is random and new each time: with 2³² writes under one key a repetition is still unlikelier than 2⁻³².
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from outward.core import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND: Final = "outward-secrets-1"
"""The first line says what it is, and in which version."""

COST: Final = 1 << 17
"""n of scrypt (RFC 7914 §2), with r = 8 and p = 1: 128 MiB and about half a second for each guess, and once for us."""
_COSTS: Final = range(17, 21)  # nobody makes it cheaper by editing the file, nor fills our memory
_BLOCK: Final = 8
_PARALLEL: Final = 1
_NONCE: Final = 12
_KEY: Final = 32


class Damaged(HostError):
    """The file is not as it was written."""


class WrongKey(HostError):
    """The passphrase, or the key file, is another one."""


class Key:
    """The key of one encrypted file; shows nothing of itself."""

    __slots__ = ("_check", "_octets")

    def __init__(self, octets: bytes) -> None:
        """``octets`` are 32 that encrypt and 32 that only tell this key from others."""
        self._octets: Final = octets[:_KEY]
        self._check: Final = octets[_KEY:]

    def reveal(self) -> bytes:
        """The octets that encrypt."""
        return self._octets

    @property
    def check(self) -> str:
        """What the file says of its key, in hexadecimal: tells a wrong passphrase from a damaged file, and helps no guess."""
        return self._check.hex()

    def __repr__(self) -> str:
        return "<key>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not to be serialised")


@dataclass(frozen=True, slots=True)
class Opening:
    """How the key is made: by scrypt from a passphrase, or by HKDF (RFC 5869) from a key file's random octets.

    ``check`` is empty until a key was made.
    """

    salt: bytes
    cost: int = COST
    key_file: str = ""
    check: str = ""

    def derive(self, material: bytes) -> Key:
        """The key. Takes long and much memory for a passphrase."""
        from cryptography.hazmat.primitives import hashes  # here: only who opens it waits for the library
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        if self.key_file:
            return Key(HKDF(hashes.SHA256(), 2 * _KEY, self.salt, KIND.encode()).derive(material))
        return Key(Scrypt(self.salt, 2 * _KEY, self.cost, _BLOCK, _PARALLEL).derive(material))

    def new_key(self, material: bytes) -> tuple[Opening, Key]:
        """A key for a file that is made now, and what the file will say about it."""
        key = self.derive(material)
        return replace(self, check=key.check), key

    def document(self) -> dict[str, Any]:
        """As it stands in the file."""
        made = (
            {"kdf": "hkdf-sha256", "key_file": self.key_file}
            if self.key_file
            else {"kdf": "scrypt", "n": self.cost, "r": _BLOCK, "p": _PARALLEL}
        )
        return {**made, "salt": self.salt.hex(), "check": self.check}


def new_opening(key_file: str = "") -> Opening:
    """For a file that is made now: with a salt of its own."""
    return Opening(os.urandom(32), key_file=key_file)


@dataclass(frozen=True, slots=True)
class Public:
    """What can be known without the key, and is not proven before it was opened. ``entries`` maps names to times."""

    opening: Opening
    entries: Mapping[str, str] = field(default_factory=dict)


def parse(content: bytes) -> Public:
    """The first line. Raises :class:`Damaged`."""
    first, _ = _lines(content)
    try:
        document = json.loads(first)
        if document["kind"] != KIND:
            raise Damaged("this is no file of secrets of this version")
        entries = {str(name): str(entry["set"]) for name, entry in document["entries"].items()}
        return Public(_opening(document["opening"]), entries)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("its first line cannot be read") from None


def _opening(document: dict[str, Any]) -> Opening:
    salt, check = bytes.fromhex(document["salt"]), str(document["check"])
    if document["kdf"] == "hkdf-sha256" and document["key_file"]:
        return Opening(salt, key_file=str(document["key_file"]), check=check)
    cost = document["n"]
    allowed = {1 << power for power in _COSTS}
    if document["kdf"] != "scrypt" or (document["r"], document["p"]) != (_BLOCK, _PARALLEL) or cost not in allowed:
        raise Damaged("its key is made in a way that this version does not know")
    return Opening(salt, cost=int(cost), check=check)


def seal(public: Public, values: Mapping[str, bytes], key: Key) -> bytes:
    """The file. Names and values must be of the same names."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    assert public.entries.keys() == values.keys(), "every name has a value"
    entries = {name: {"set": moment} for name, moment in sorted(public.entries.items())}
    first = json.dumps({"kind": KIND, "opening": public.opening.document(), "entries": entries}).encode("ascii")
    text = json.dumps({name: base64.b64encode(value).decode("ascii") for name, value in values.items()})
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(key.reveal()).encrypt(nonce, text.encode("ascii"), first)
    return first + b"\n" + base64.b64encode(nonce + sealed) + b"\n"


def unseal(content: bytes, key: Key) -> dict[str, bytes]:
    """The values by name. Raises :class:`Damaged` or :class:`WrongKey`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    public = parse(content)
    if public.opening.check != key.check:
        raise WrongKey("this does not open it")
    first, second = _lines(content)
    try:
        sealed = base64.b64decode(second, validate=True)
        text = AESGCM(key.reveal()).decrypt(sealed[:_NONCE], sealed[_NONCE:], first)
    except (InvalidTag, binascii.Error, ValueError):
        raise Damaged("it is not as it was written") from None
    return {name: base64.b64decode(value) for name, value in json.loads(text).items()}


def _lines(content: bytes) -> tuple[bytes, bytes]:
    lines = content.split(b"\n")
    if len(lines) != 3 or lines[2]:
        raise Damaged("it has not the two lines that it should have")
    return lines[0], lines[1]
