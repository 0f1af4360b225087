"""What is fetched is kept as long as it is good, fetched anew ahead of its end, and left alone after failures."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from outward.core import SecretUnavailable
from outward.credentials.kept import LONGEST_RETRY, Fetched, Kept, Lifetime
from outward.credentials.sources.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Source:
    """Gives ``v1``, ``v2``, …; waits while ``gate`` is closed, and raises ``failure`` where there is one."""

    def __init__(self, lifetime: float | None) -> None:
        self.lifetime = lifetime
        self.asked = 0
        self.renewed = 0
        self.failure: Exception | None = None
        self.renewable: Callable[[], Awaitable[Fetched]] | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Fetched:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Fetched(f"v{number}".encode(), self.lifetime, self.renewable)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock: what it shows may be set."""
    clock = [1000.0]
    monkeypatch.setattr("outward.credentials.kept.time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


def value(fetched: Fetched | None) -> bytes | None:
    if fetched is None:
        return None
    assert isinstance(fetched.value, bytes)
    return fetched.value


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_value_is_fetched_anew_before_it_expires_and_nobody_waits(now: list[float]) -> None:
    async def story() -> None:
        source = Source(100.0)
        kept = Kept("key", source.fetch, Lifetime())
        assert value(await kept.get()) == b"v1"
        now[0] += 79
        assert value(kept.at_hand()) == b"v1"
        assert kept.settled_until == pytest.approx(1080)
        await settle()
        assert source.asked == 1, "in the first four fifths nobody is asked"
        now[0] += 2
        source.gate.clear()
        for _ in range(3):
            assert value(kept.at_hand()) == b"v1", "the old value is used while the next is fetched"
            await settle()
        assert source.asked == 2
        source.gate.set()
        await settle()
        assert value(kept.at_hand()) == b"v2"
        assert kept.settled_until == pytest.approx(1081 + 80)

    asyncio.run(story())


def test_an_expired_value_is_never_given(now: list[float]) -> None:
    async def story() -> None:
        source = Source(100.0)
        kept = Kept("key", source.fetch, Lifetime())
        await kept.get()
        now[0] += 81
        source.gate.clear()
        assert value(kept.at_hand()) == b"v1"
        await settle()
        now[0] += 19
        assert kept.at_hand() is None, "also while the next is on its way"
        waiting = asyncio.ensure_future(kept.get())
        await settle()
        source.gate.set()
        assert value(await waiting) == b"v2"
        assert source.asked == 2, "one fetch, begun ahead and waited for in the end"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("lifetime", "says", "seconds"),
    [
        (Lifetime(), None, float("inf")),
        (Lifetime(default=50), None, 50),
        (Lifetime(default=50), 500.0, 500),
        (Lifetime(ttl=10, default=50), None, 10),
        (Lifetime(ttl=10), 500.0, 10),
        (Lifetime(ttl=1000), 500.0, 500),
        (Lifetime(), 0.0, 0),
    ],
)
def test_the_policy_bounds_what_the_service_says(lifetime: Lifetime, says: float | None, seconds: float) -> None:
    assert lifetime.end(says, 1000, 1000) == 1000 + seconds


def test_how_far_ahead() -> None:
    assert Lifetime().asked_again(100) == 80
    assert Lifetime().asked_again(36_000) == 36_000 - 300
    assert Lifetime().asked_again(float("inf")) == float("inf")
    assert Lifetime(ahead=False).asked_again(100) == 100


def test_what_we_say_counts_from_when_a_value_is_here() -> None:
    """Else one that takes longer than its ttl could never be used."""
    assert Lifetime(ttl=1).end(None, asked=1000, arrived=1005) == 1006
    assert Lifetime(ttl=1).end(3, asked=1000, arrived=1005) == 1003


def test_a_slow_answer_has_lived_before_it_was_here(now: list[float]) -> None:
    async def story() -> None:
        source = Source(100.0)
        source.gate.clear()
        kept = Kept("key", source.fetch, Lifetime())
        waiting = asyncio.ensure_future(kept.get())
        await settle()
        now[0] += 60
        source.gate.set()
        await waiting
        now[0] += 41
        assert kept.at_hand() is None

    asyncio.run(story())


def test_a_good_value_outlives_failures_and_the_source_is_not_flooded(now: list[float]) -> None:
    async def story() -> None:
        source = Source(1000.0)
        kept = Kept("key", source.fetch, Lifetime())
        await kept.get()
        now[0] += 801
        source.failure = SecretUnavailable("key", "sealed")
        for _ in range(50):
            assert value(kept.at_hand()) == b"v1"
            await settle()
        assert source.asked == 2
        now[0] += 2.1
        kept.at_hand()
        await settle()
        assert source.asked == 3
        now[0] += 2.1
        kept.at_hand()
        await settle()
        assert source.asked == 3, "the second pause is longer"
        now[0] = 1000 + 1000
        with pytest.raises(SecretUnavailable, match="sealed"):
            await kept.get()
        source.failure = None
        now[0] += 100
        assert value(await kept.get()) == b"v5"

    asyncio.run(story())


def test_pauses_grow_and_end(now: list[float]) -> None:
    async def story() -> list[float]:
        source = Source(None)
        source.failure = SecretUnavailable("key", "sealed")
        kept = Kept("key", source.fetch, Lifetime())
        pauses = []
        for asked in range(1, 40):
            with pytest.raises(SecretUnavailable):
                await kept.get()
            await settle()
            assert source.asked == asked
            pause = 0.0
            while True:
                try:
                    kept.at_hand()
                    break
                except SecretUnavailable:
                    pause += 0.5
                    now[0] += 0.5
            pauses.append(pause)
        return pauses

    pauses = asyncio.run(story())
    assert pauses[:5] == [2, 4, 8, 16, 30]
    assert set(pauses[4:]) == {LONGEST_RETRY}


def test_what_can_be_renewed_is_renewed_and_else_fetched_anew(now: list[float]) -> None:
    async def story() -> None:
        source = Source(100.0)

        async def renew() -> Fetched:
            source.renewed += 1
            if source.renewed > 1:
                raise SecretUnavailable("key", "the lease cannot be renewed any further")
            return Fetched(b"v1", 100.0, renew)

        source.renewable = renew
        kept = Kept("key", source.fetch, Lifetime())
        for expected, renewed, asked in ((b"v1", 0, 1), (b"v1", 1, 1), (b"v2", 2, 2)):
            kept.at_hand()
            await settle()
            assert value(await kept.get()) == expected
            assert (source.renewed, source.asked) == (renewed, asked)
            now[0] += 81
        now[0] += 200
        assert value(await kept.get()) == b"v3", "what has expired is not renewed"
        assert source.renewed == 2

    asyncio.run(story())


def test_one_who_gives_up_does_not_take_it_from_the_others() -> None:
    async def story() -> None:
        source = Source(None)
        source.gate.clear()
        kept = Kept("key", source.fetch, Lifetime())
        first, second = (asyncio.ensure_future(kept.get()) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        source.gate.set()
        assert value(await second) == b"v1"
        assert first.cancelled()
        assert source.asked == 1

    asyncio.run(story())


def test_a_source_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outward.credentials.kept.TIME_LIMIT", 0.01)

    async def story() -> None:
        source = Source(None)
        source.gate.clear()
        kept = Kept("key", source.fetch, Lifetime())
        with pytest.raises(SecretUnavailable, match="did not answer"):
            await kept.get()
        with pytest.raises(SecretUnavailable, match="did not answer"):
            kept.at_hand()

    asyncio.run(story())


def test_a_mistake_in_a_source_is_seen_though_nobody_waits(now: list[float]) -> None:
    async def story() -> list[object]:
        seen: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
        source = Source(100.0)
        kept = Kept("key", source.fetch, Lifetime())
        await kept.get()
        now[0] += 90
        source.failure = ZeroDivisionError()
        assert value(kept.at_hand()) == b"v1"
        await settle()
        return seen

    (seen,) = asyncio.run(story())
    assert isinstance(seen, ZeroDivisionError)


def test_a_mistake_in_a_source_is_a_refusal(now: list[float]) -> None:
    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        source = Source(100.0)
        kept = Kept("key", source.fetch, Lifetime())
        source.failure = ZeroDivisionError("ghp_test")
        for _ in range(3):
            with pytest.raises(SecretUnavailable, match="not foreseen: ZeroDivisionError") as caught:
                await kept.get()
            assert "ghp_test" not in str(caught.value)
        assert source.asked == 1

    asyncio.run(story())


def test_what_blocks_does_so_in_a_thread_that_nobody_waits_for() -> None:
    import threading

    release = threading.Event()

    async def story() -> None:
        assert await in_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await in_thread(release.wait)

    asyncio.run(story())  # returns although the thread still waits
    release.set()
