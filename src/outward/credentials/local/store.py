"""Both homes of local secrets as one store."""

from __future__ import annotations

import contextlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from outward.core import HostError
from outward.core.records import NamedTuple
from outward.credentials.local import files, unlocking
from outward.credentials.local.encrypted import EncryptedFile
from outward.credentials.local.place import ENCRYPTED, INDEX, secrets_directory, state_root
from outward.credentials.local.sealed import new_opening
from outward.credentials.local.system import NoKeyring, SystemKeyring
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from outward.credentials.local.sealed import Key, Opening

MAX_VALUE: Final = 64 * 1024
"""Octets of a value, as of a file that holds one."""

Home = Literal["system keyring", "encrypted file"]


class Entry(NamedTuple):
    """What can be known of a secret without its value. ``set`` is RFC 3339, UTC."""

    name: str
    home: Home
    set: str


class LocalStore:
    """Named values, each in one home, where it stays: the system keyring where one works, else the encrypted file.

    Usable from an event loop: what takes time (a keyring that has to be unlocked, a key that has to be made, other processes
    that write) does not block it. Several processes may use it at once; a value is replaced as a whole. Values are UTF-8; what
    belongs together, such as a token and when it expires, is one value.

    Raises :class:`~outward.core.HostError` with the way out: :class:`~.unlocking.Locked` where nothing at hand opens the file,
    :class:`~.sealed.Damaged`, :class:`~.sealed.WrongKey`, :class:`~.system.NoKeyring`, :class:`~.system.KeyringTrouble`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """``environment`` is the caller's: it says where the store is, and what leads to the system keyring."""
        self._environment: Final = environment
        self._directory: Final = secrets_directory(environment)
        self._index: Final = self._directory / INDEX
        self._keyring: Final = SystemKeyring(environment)
        # One service for each state directory, so that they do not overwrite each other's.
        named = environment.get("OUTWARD_HOME")
        self._service: Final = f"outward {state_root(environment)}" if named else "outward"
        self.encrypted: Final = EncryptedFile(self._directory / ENCRYPTED)

    def entries(self) -> dict[str, Entry]:
        """What is kept, by name; no value and no key is needed for it."""
        public = self.encrypted.public()
        found = {
            name: Entry(name, "encrypted file", moment) for name, moment in (public.entries if public else {}).items()
        }
        found |= {name: Entry(name, "system keyring", moment) for name, moment in self._indexed().items()}
        return dict(sorted(found.items()))

    async def get(self, name: str) -> bytes | None:
        """The value; ``None`` if there is none of this name."""
        if name not in self._indexed():
            return await in_thread(lambda: self.encrypted.get(name, self._key_of))
        value = await self._keyring.get(self._service, name)
        if value is None:
            raise HostError(
                f"{name!r} is not in the system keyring any more", hint=f"Set it again: outward secret set {name}"
            )
        return value.encode()

    async def put(self, name: str, value: bytes, *, in_file: bool = False) -> Entry:
        """Sets the value, whatever was there; where it is kept now. ``in_file`` chooses the encrypted file."""
        if not value or len(value) > MAX_VALUE:
            raise HostError(f"a value has 1 to {MAX_VALUE} bytes", hint="Keep larger ones in a file of their own.")
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise HostError("a value is UTF-8 text", hint="Encode it, for instance in base64.") from None
        await in_thread(lambda: files.prepare(self._directory))
        known = self.entries().get(name)
        if not in_file and (known is None or known.home == "system keyring"):
            try:
                return await self._put_in_keyring(name, text)
            except NoKeyring:
                if known is not None:
                    raise
        entry = await in_thread(lambda: self._put_in_file(name, value))
        if known is not None and known.home == "system keyring":
            with contextlib.suppress(NoKeyring):  # what was in it then is out of reach, and is not asked for any more
                await self._keyring.delete(self._service, name)
            await in_thread(lambda: self._change_index(name, None))
        return entry

    async def delete(self, name: str) -> bool:
        """Takes it away: whether there was one."""
        entry = self.entries().get(name)
        if entry is None:
            return False
        if entry.home == "encrypted file":
            return await in_thread(lambda: self.encrypted.change(self._key_of, name=name, value=None, moment=""))
        await self._keyring.delete(self._service, name)
        await in_thread(lambda: self._change_index(name, None))
        return True

    async def take_turn(self, name: str) -> contextlib.ExitStack:
        """Of all tasks and processes, only one at a time has its turn with this name, until it closes the stack.

        For a value that is read, used up and replaced, such as a refresh token that is good for one use.
        """
        return await files.take_turn(self._directory, name)

    def mark(self) -> object:
        """Compares equal as long as nothing in the store has changed. Costs no more than a look at two files."""
        return _mark(self._index), _mark(self.encrypted.path)

    async def _put_in_keyring(self, name: str, text: str) -> Entry:
        await self._keyring.set(self._service, name, text)
        moment = _now()
        await in_thread(lambda: self._change_index(name, moment))
        return Entry(name, "system keyring", moment)

    def _put_in_file(self, name: str, value: bytes) -> Entry:
        if self.encrypted.public() is None:
            # Raises Locked where a person has to be asked, who alone can decide on a passphrase.
            opening, key = new_opening().new_key(unlocking.passphrase(self._environment))
            if self.encrypted.create(opening, key):
                unlocking.keep(opening, key)
        moment = _now()
        self.encrypted.change(self._key_of, name=name, value=value, moment=moment)
        return Entry(name, "encrypted file", moment)

    def create(self, opening: Opening, key: Key) -> None:
        """Makes the encrypted file, or lets another key open it. Blocks."""
        if not self.encrypted.create(opening, key):
            self.encrypted.rekey(self._key_of, opening, key)
        unlocking.keep(opening, key)

    @property
    def _key_of(self) -> partial[Key]:
        return partial(unlocking.key_of, environment=self._environment)

    def _indexed(self) -> dict[str, str]:
        content = files.read(self._index)
        if content is None:
            return {}
        try:
            return {str(name): str(entry["set"]) for name, entry in json.loads(content).items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise HostError(
                f"{self._index} is damaged",
                hint="It lists what is in the system keyring. Move it away, and set those secrets again.",
            ) from None

    def _change_index(self, name: str, moment: str | None) -> None:
        with files.exclusive(self._directory):
            known = self._indexed()
            known.pop(name, None)
            if moment is not None:
                known[name] = moment
            text = json.dumps({name: {"set": when} for name, when in sorted(known.items())}, indent=1)
            files.write(self._index, text.encode("ascii") + b"\n")


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Files are replaced, never written in place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
