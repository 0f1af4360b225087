"""One thing that was fetched, kept in memory for as long as it is good."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from outward.core import SecretUnavailable
from outward.core.records import NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

FIRST_RETRY: Final = 2.0
"""Seconds for which a first failure stands before the source is asked again; doubled with each one that follows."""
LONGEST_RETRY: Final = 30.0
"""Seconds for which a failure stands at most: who has unlocked the vault does not want to wait longer."""
TIME_LIMIT: Final = 90.0
"""Seconds that a fetch may take, whatever the source's own limits are."""
AHEAD: Final = 0.2
"""Of a lifetime: in this last part of it a value is fetched anew while the old one is still used."""
LONGEST_AHEAD: Final = 300.0
"""Seconds before its end that a long-lived value is fetched anew."""


class Fetched(NamedTuple):
    """What a source gave.

    ``value`` is the secret, or several that belong together, by their names: a user and a password, what AWS calls a set of
    credentials. ``lifetime`` is for how many seconds it is good, counted from when it was asked for; ``None`` where the
    service does not say. ``renew`` makes the same good for longer, and gives it with its new lifetime, or raises
    :class:`SecretUnavailable`: then it is fetched anew.
    """

    value: bytes | Mapping[str, bytes]
    lifetime: float | None = None
    renew: Callable[[], Awaitable[Fetched]] | None = None


class Lifetime(NamedTuple):
    """For how many seconds a value is used: not longer than ``ttl``, than what its service says, and where neither says
    anything than ``default``. ``None`` is no bound. ``ahead``: whether it is fetched anew before its end.
    """

    ttl: float | None = None
    default: float | None = None
    ahead: bool = True

    def end(self, lifetime: float | None, asked: float, arrived: float) -> float:
        """When a value ends that was ``asked`` for and ``arrived`` at these times, and whose service says ``lifetime``.

        What the service says counts from the question, for a slow answer has lived before it was here; what we say from
        when it is here.
        """
        own = self.ttl if self.ttl is not None or lifetime is not None else self.default
        ends = [] if own is None else [arrived + own]
        if lifetime is not None:
            ends.append(asked + lifetime)
        return min(ends, default=float("inf"))

    def asked_again(self, seconds: float) -> float:
        """After how many of its ``seconds`` a value is fetched anew."""
        return max(seconds * (1 - AHEAD), seconds - LONGEST_AHEAD) if self.ahead else seconds


class Kept:
    """One thing that is fetched when it is first needed, once however many wait for it.

    Near the end of its lifetime, whoever uses it sets off the next fetch and is not kept waiting; who has not used it for
    long asks nobody. After a failure the source is left alone for a while, longer with each further one, and those who
    need the value get that failure at once; a value that is still good stays in use meanwhile. An expired one never does.
    """

    def __init__(self, name: str, fetch: Callable[[], Awaitable[Fetched]], lifetime: Lifetime) -> None:
        """``name`` is that of the secret, for errors."""
        self._name: Final = name
        self._fetch: Final = fetch
        self._lifetime: Final = lifetime
        self._fetched: Fetched | None = None
        self._expires = 0.0
        self._ask_again = 0.0  # from then on the next fetch may begin
        self._failures = 0
        self._failure: SecretUnavailable | None = None
        self._flight: asyncio.Task[Fetched] | None = None

    def at_hand(self) -> Fetched | None:
        """What was fetched, if it is good. Raises :class:`SecretUnavailable` while a failure stands.

        Called in the event loop, for it may set off the next fetch.
        """
        now = time.monotonic()
        if self._fetched is not None:
            if now < self._expires:
                if now >= self._ask_again and self._flight is None:
                    self._take_off()
                return self._fetched
            if self._flight is None:
                self._fetched = None
        if self._failure is not None and now < self._ask_again:
            raise self._failure
        return None

    @property
    def remaining(self) -> float:
        """Seconds for which what was fetched is still good."""
        return max(0.0, self._expires - time.monotonic())

    def forget(self) -> None:
        """What was fetched is no good any more, whatever it was said to be."""
        self._fetched = None

    @property
    def settled_until(self) -> float:
        """Until when :meth:`at_hand` gives the same and sets nothing off, on the monotonic clock."""
        return min(self._expires, self._ask_again)

    async def get(self) -> Fetched:
        """What was fetched, or is now. Raises :class:`SecretUnavailable`."""
        ready = self.at_hand()
        if ready is not None:
            return ready
        import asyncio  # here: placeholders are made before there is a loop, and `outward run` has to start quickly

        flight = self._flight or self._take_off()
        # Not awaited itself: the one who waits may give up, the others still want the answer.
        await asyncio.wait({flight})
        error = flight.exception()
        if error is None:
            return flight.result()
        raise error if isinstance(error, SecretUnavailable) else self._mistake(error)

    def _take_off(self) -> asyncio.Task[Fetched]:
        import asyncio  # here: see `get`

        self._flight = asyncio.get_running_loop().create_task(self._fly())
        self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: asyncio.Task[Fetched]) -> None:
        self._flight = None
        error = None if flight.cancelled() else flight.exception()
        if error is not None and not isinstance(error, SecretUnavailable):
            # Of ours, or of a library: whoever needs the value is refused, and it must not go unseen.
            self._failed(self._mistake(error))
            context = {"message": f"the source of secret {self._name!r} failed", "exception": error, "future": flight}
            flight.get_loop().call_exception_handler(context)

    def _mistake(self, error: BaseException) -> SecretUnavailable:
        return SecretUnavailable(self._name, f"its source failed in a way that is not foreseen: {type(error).__name__}")

    async def _fly(self) -> Fetched:
        import asyncio  # here: see `get`

        begun = time.monotonic()
        try:
            async with asyncio.timeout(TIME_LIMIT):
                fetched = await self._next()
        except TimeoutError:
            failure = SecretUnavailable(self._name, f"its source did not answer within {TIME_LIMIT:.0f} s")
            self._failed(failure)
            raise failure from None
        except SecretUnavailable as failure:
            self._failed(failure)
            raise
        now = time.monotonic()
        self._fetched, self._failure, self._failures = fetched, None, 0
        self._expires = self._lifetime.end(fetched.lifetime, begun, now)
        self._ask_again = now + self._lifetime.asked_again(self._expires - now)
        return fetched

    async def _next(self) -> Fetched:
        """The same for longer if that is possible, else another."""
        old = self._fetched
        if old is not None and old.renew is not None and time.monotonic() < self._expires:
            try:
                return await old.renew()
            except SecretUnavailable:
                pass  # it cannot be renewed for ever
        return await self._fetch()

    def _failed(self, failure: SecretUnavailable) -> None:
        # Bounded before it is raised: failures may go on for weeks.
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._failure = failure
        self._ask_again = time.monotonic() + wait
