"""The store: every secret of a policy, its cached value and its placeholder."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from outward.core import NO_CALLER_PROXIES, Secret, SecretUnavailable
from outward.credentials.sources import SOURCES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from outward.core import CallerProxies
    from outward.policy import SecretSpec

RETRY_AFTER: Final = 2.0
"""Seconds for which a failure stands before the source is asked again, so that a flood of requests does not flood it."""

UNKNOWN_SHAPE: Final = "outward-placeholder-" + "x" * 24
"""What a placeholder looks like when the value cannot be had at start-up without waiting for a program or a service."""


class _Cached(NamedTuple):
    outcome: Secret | SecretUnavailable
    expires: float


class CredentialStore:
    """Fetches secrets when they are first needed, once however many requests wait; keeps them in memory only.

    A value is used for its ``ttl``; when it cannot be renewed the requests that need it fail, they never use an expired
    value and never go out bare.
    """

    def __init__(
        self,
        specs: Mapping[str, SecretSpec],
        *,
        environment: Mapping[str, str],
        caller: CallerProxies = NO_CALLER_PROXIES,
        previous: CredentialStore | None = None,
        placeholders: Mapping[str, str] | None = None,
    ) -> None:
        """``caller`` has secrets that are at hand and in no policy.

        ``previous`` hands those on, its placeholders, so that clients survive a reload of the policy, and the values to mask:
        requests that began with it go on. ``placeholders`` are those that another process has made already.
        """
        self._specs: Final = specs
        self._environment: Final = environment
        self._cache: dict[str, _Cached] = {}
        # Shared, not copied: the previous store may still fetch.
        self._known: Final[dict[str, str]] = previous._known if previous else {}
        self._flights: dict[str, asyncio.Task[Secret]] = {}
        self.caller: Final[CallerProxies] = previous.caller if previous else caller
        for secret in self.caller.secrets:
            self._cache[secret.name] = _Cached(secret, float("inf"))
            self._know(secret)
        known = placeholders or (previous.placeholders if previous else {})
        self.placeholders: Final[Mapping[str, str]] = MappingProxyType(
            {name: spec.placeholder or known.get(name) or self._new_placeholder(spec) for name, spec in specs.items()}
        )
        self.secret_of_placeholder: Final[Mapping[str, str]] = MappingProxyType(
            {text: name for name, text in self.placeholders.items()}
        )

    def _new_placeholder(self, spec: SecretSpec) -> str:
        from outward.credentials.placeholders import make_placeholder  # here: many a policy has no secret

        read = SOURCES[spec.source].read
        if read is None:
            return make_placeholder(UNKNOWN_SHAPE)
        try:
            return make_placeholder(read(spec, self._environment).decode("latin-1"))
        except SecretUnavailable:
            return make_placeholder(UNKNOWN_SHAPE)

    def exposed(self) -> dict[str, str]:
        """Environment variables of the sandbox, holding placeholders."""
        return {spec.expose: self.placeholders[name] for name, spec in self._specs.items() if spec.expose}

    def cached(self, name: str) -> Secret | None:
        """The value if it is at hand and fresh. Raises :class:`SecretUnavailable` while a failure stands."""
        entry = self._cache.get(name)
        if entry is None or entry.expires < time.monotonic():
            return None
        if isinstance(entry.outcome, SecretUnavailable):
            raise entry.outcome
        return entry.outcome

    def expiry(self, name: str) -> float:
        """Until when the cached value is good, on the monotonic clock."""
        return self._cache[name].expires

    async def get(self, name: str) -> Secret:
        """The value, fetched if need be. Raises :class:`SecretUnavailable`."""
        ready = self.cached(name)
        if ready is not None:
            return ready
        import asyncio  # here: placeholders are made before there is a loop, and `outward run` has to start quickly

        flight = self._flights.get(name)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._fetch(self._specs[name]))
            self._flights[name] = flight
            flight.add_done_callback(lambda _: self._flights.pop(name, None))
        # Shielded: the one who waits may give up, the others still want the answer.
        return await asyncio.shield(flight)

    async def _fetch(self, spec: SecretSpec) -> Secret:
        source = SOURCES[spec.source]
        try:
            if source.read is not None:
                value = source.read(spec, self._environment)
            else:
                assert source.fetch is not None, "a source has read or fetch"
                value = await source.fetch(spec, self._environment)
        except SecretUnavailable as error:
            self._cache[spec.name] = _Cached(error, time.monotonic() + RETRY_AFTER)
            raise
        secret = Secret(spec.name, value)
        self._know(secret)
        ttl = spec.ttl if spec.ttl is not None else source.ttl
        self._cache[spec.name] = _Cached(secret, time.monotonic() + ttl if ttl is not None else float("inf"))
        return secret

    def _know(self, secret: Secret) -> None:
        """Its value is masked from now on; an empty one would be everywhere."""
        if value := secret.reveal():
            self._known[value.decode("latin-1")] = secret.name

    def mask(self, text: str) -> str:
        """``text`` without any value that has been fetched so far, for the journal and for messages."""
        for value, name in self._known.items():
            if value in text:
                text = text.replace(value, f"[secret {name}]")
        return text
