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
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from outward.core import HostError, SecretUnavailable
from outward.credentials.local.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from outward.core import Secret

PATIENCE: Final = 30.0
"""Seconds to wait for another gateway that refreshes the same log-in; an exchange may take 20."""


class Rotation:
    """The refresh tokens of one log-in. All raise :class:`SecretUnavailable` for the secret ``name``."""

    def __init__(
        self, name: str, environment: Mapping[str, str], token_url: str, client_id: str, first: Secret
    ) -> None:
        self._name: Final = name
        self._first: Final = first
        self._store: Final = LocalStore(environment)
        parts = (token_url.encode(), client_id.encode(), first.reveal())
        digest = sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()[:24]
        self.entry: Final = f"oauth-{(urlsplit(token_url).hostname or '')[:32].replace(':', '-')}-{digest}"

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else on this machine refreshes the log-in meanwhile."""
        try:
            async with asyncio.timeout(PATIENCE):
                turn = await self._store.take_turn(self.entry)
        except TimeoutError:
            raise SecretUnavailable(self._name, "another gateway has been refreshing it for too long") from None
        except HostError as error:
            raise self._not_kept(error) from error
        with turn:
            yield

    async def current(self) -> str:
        """The token to use next, which is in the store by then."""
        try:
            kept = await self._store.get(self.entry)
            if kept is None:
                kept = self._first.reveal()
                await self._store.put(self.entry, kept)
        except HostError as error:
            raise self._not_kept(error) from error
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

    def _not_kept(self, error: HostError) -> SecretUnavailable:
        return SecretUnavailable(self._name, f"its refresh token could not be kept: {error.message}", hint=error.hint)
