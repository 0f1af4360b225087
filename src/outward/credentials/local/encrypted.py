"""The encrypted file, on the disk: changed by one at a time, and as a whole."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.credentials.local import files
from outward.credentials.local.sealed import Damaged, Public, parse, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outward.credentials.local.sealed import Key, Opening


class EncryptedFile:
    """Secrets in a file. ``key_of`` gives the key for an :class:`Opening`; what it raises goes to the caller.

    All methods may raise :class:`HostError`: :class:`Damaged` where the file is not as it was written. Nothing is ever written
    over a file that could not be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def public(self) -> Public | None:
        """What can be known without the key; ``None`` if there is no file."""
        content = files.read(self.path)
        if content is None:
            return None
        with self._named():
            return parse(content)

    def get(self, name: str, key_of: Callable[[Opening], Key]) -> bytes | None:
        """The value, or ``None`` if there is none of this name."""
        content = files.read(self.path)
        if content is None:
            return None
        with self._named():
            if name not in parse(content).entries:
                return None
        return self._opened(content, key_of)[1].get(name)

    def change(self, key_of: Callable[[Opening], Key], *, name: str, value: bytes | None, moment: str) -> bool:
        """Sets a value, or takes it away (``None``): whether there was one. Raises :class:`HostError` if there is no file."""
        with files.exclusive(self.path.parent):
            content = files.read(self.path)
            if content is None:
                raise HostError(f"{self.path} is not there any more")
            public, values, key = self._opened(content, key_of)
            entries = dict(public.entries)
            known = entries.pop(name, None) is not None
            values.pop(name, None)
            if value is not None:
                entries[name] = moment
                values[name] = value
            elif not known:
                return False
            files.write(self.path, seal(replace(public, entries=entries), values, key))
            return known

    def create(self, opening: Opening, key: Key) -> bool:
        """Makes the file, with nothing in it, unless there is one: whether it did."""
        files.prepare(self.path.parent)
        with files.exclusive(self.path.parent):
            if files.read(self.path) is not None:
                return False
            files.write(self.path, seal(Public(opening), {}, key), replace=False)
            return True

    def rekey(self, key_of: Callable[[Opening], Key], opening: Opening, key: Key) -> None:
        """From now on ``key`` opens it, and what opened it before does not."""
        with files.exclusive(self.path.parent):
            content = files.read(self.path)
            if content is None:
                raise HostError(f"{self.path} is not there any more")
            public, values, _ = self._opened(content, key_of)
            files.write(self.path, seal(replace(public, opening=opening), values, key))

    def _opened(self, content: bytes, key_of: Callable[[Opening], Key]) -> tuple[Public, dict[str, bytes], Key]:
        with self._named():
            public = parse(content)
        key = key_of(public.opening)
        with self._named():
            return public, unseal(content, key), key

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except Damaged as error:
            raise Damaged(
                f"{self.path} is damaged: {error.message}",
                hint="Nothing was written. Put a copy in its place, or move it away and set the secrets again.",
            ) from None
