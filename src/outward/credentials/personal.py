"""The store as one agent sees it: what is captured is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import HostError
from outward.credentials.captured import not_logged_in, unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from outward.core import Secret
    from outward.credentials.captured import Token
    from outward.credentials.store import CredentialStore

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 (the name of a field, RFC 6749 §5.1)


class AgentStore:
    """Gives the agent's own values for what is captured, and everybody's for the rest.

    Another gateway may have captured something since: what is known is compared with what is on the disk at each use.
    """

    def __init__(self, store: CredentialStore, agent: str) -> None:
        self._store: Final = store
        self._agent: Final = agent

    def stand_ins(self, name: str) -> tuple[str, ...]:
        """See :class:`~outward.credentials.injector.Values`, likewise below."""
        if not self._store.is_captured(name):
            return self._store.stand_ins(name)
        token = self._token(name)
        return token.stand_ins if token is not None else ()

    @property
    def version(self) -> int:
        """See :class:`~outward.credentials.store.CredentialStore`."""
        return self._store.version

    def foreign(self, bound: Sequence[str]) -> dict[str, str]:
        """Another agent's are foreign, whatever is bound."""
        return self._store.foreign(bound, self._agent)

    def is_missing(self, name: str) -> bool:
        """Certain only where what is known is current."""
        captured = self._store.captured
        return self._store.is_captured(name) and captured.is_current() and self._token(name) is None

    def cached(self, name: str) -> Secret | None:
        """``None`` as well where there is nothing to be had."""
        if not self._store.is_captured(name):
            return self._store.cached(name)
        token = self._token(name) if self._store.captured.is_current() else None
        return token.secret if token is not None else None

    def expiry(self, name: str) -> float:
        """What is captured may change at any time."""
        return 0.0 if self._store.is_captured(name) else self._store.expiry(name)

    async def fetch(self, name: str, *, needed: bool) -> None:
        """Raises :class:`SecretUnavailable`, also where the agent has not logged in if that is ``needed``."""
        if not self._store.is_captured(name):
            await self._store.fetch(name, needed=needed)
            return
        try:
            if not self._store.captured.is_current():
                await self._store.captured.load()
        except HostError as error:
            raise unavailable(name, error) from error
        if needed and self._token(name) is None:
            raise not_logged_in(name, self._agent)

    async def take_turn(self) -> ExitStack:
        """See :meth:`Captured.take_turn`. Raises :class:`HostError`."""
        return await self._store.captured.take_turn(self._agent)

    async def keep(self, found: Sequence[tuple[str, str, str]]) -> dict[str, str]:
        """Keeps what stood in an answer, as (field, name of the secret, value): the stand-in of each name.

        No access token is kept before the refresh token that came with it. Raises :class:`HostError`.
        """
        ordered = sorted(found, key=lambda each: each[0] == ACCESS_TOKEN)
        return await self._store.captured.keep(self._agent, [(name, value) for _, name, value in ordered])

    def _token(self, name: str) -> Token | None:
        return self._store.captured.get(self._agent, name)
