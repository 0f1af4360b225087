"""Refresh tokens that are replaced with each use (RFC 6749 §6, RFC 9700 §4.14): the one that is valid is never lost.

The first one is a secret of the policy; those that follow are kept in the local store (:mod:`outward.credentials.local`),
under a name made of the service, the client and the first one. So a new log-in begins anew, and two policies with
the same log-in go on with the same token.

A service that sees an old one again takes all of them for stolen. So whoever refreshes is alone, among all gateways of this
user; the store is written before the service is asked for the first time, so that what cannot be written is found out while the
first token is still good; and no access token is used before the refresh token that came with it is on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from outward.core import HostError, SecretUnavailable
from outward.credentials.local import files
from outward.credentials.local.place import secrets_directory
from outward.credentials.local.store import LocalStore
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from outward.core import Secret

PATIENCE: Final = 30.0
"""Seconds to wait for another gateway that refreshes the same log-in; an exchange may take 20."""
PAUSE: Final = 0.05
"""Seconds between looks whether it is done: a lock that is waited for in a thread could not be given up."""


class Rotation:
    """The refresh tokens of one log-in. All raise :class:`SecretUnavailable` for the secret ``name``."""

    def __init__(
        self, name: str, environment: Mapping[str, str], token_url: str, client_id: str, first: Secret
    ) -> None:
        self._name: Final = name
        self._first: Final = first
        self._store: Final = LocalStore(environment)
        self._directory: Final = secrets_directory(environment)
        parts = (token_url.encode(), client_id.encode(), first.reveal())
        digest = sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:24]
        self.entry: Final = f"oauth-{(urlsplit(token_url).hostname or '')[:32].replace(':', '-')}-{digest}"

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else on this machine refreshes the log-in meanwhile."""
        descriptor = await in_thread(self._open)
        try:
            async with asyncio.timeout(PATIENCE):
                while not _locked(descriptor):  # noqa: ASYNC110 (other processes set no event)
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            os.close(descriptor)
            raise SecretUnavailable(self._name, "another gateway has been refreshing it for too long") from None
        try:
            yield
        finally:
            os.close(descriptor)

    async def current(self) -> str:
        """The token to use next, which is in the store by then."""
        try:
            kept = await self._store.get(self.entry)
            if kept is None:
                kept = self._first.reveal()
                await self._store.put(self.entry, kept)
        except HostError as error:
            reason = f"its refresh token could not be kept: {error.message}"
            raise SecretUnavailable(self._name, reason, hint=error.hint) from error
        return kept.decode()

    async def replace(self, following: bytes) -> None:
        """Keeps the token that the service gave in exchange."""
        try:
            await self._store.put(self.entry, following)
        except HostError as error:
            raise SecretUnavailable(
                self._name,
                f"its new refresh token could not be kept: {error.message}",
                hint=f"Log in again, and give the secret {self._first.name} the new refresh token. {error.hint}".strip(),
            ) from error

    def _open(self) -> int:
        try:
            files.prepare(self._directory)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self._directory / f".{self.entry}.lock", flags, 0o600)
        except (OSError, HostError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.message
            raise SecretUnavailable(self._name, f"its refresh token could not be kept: {reason}") from error


def _locked(descriptor: int) -> bool:
    """Whether the lock is ours now. It ends with the process, however that ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
