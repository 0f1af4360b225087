"""What one gateway has captured, as another one sees it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from outward.credentials.captured import Captured, entry_of

if TYPE_CHECKING:
    from outward.credentials.captured import Token
    from outward.credentials.local.store import LocalStore


def test_new_stand_ins_of_the_same_value_are_seen_by_who_compares_secrets(
    store: LocalStore, environment: dict[str, str]
) -> None:
    other = Captured(environment, lambda _: None)

    async def kept(*stand_ins: str) -> Token | None:
        record = json.dumps({"value": "real-token", "stand_ins": stand_ins})
        await store.put(entry_of("claude", "access"), record.encode())
        await other.load()
        return other.get("claude", "access")

    async def story() -> None:
        first = await kept("stand-in-1")
        assert await kept("stand-in-1") is first
        second = await kept("stand-in-2", "stand-in-1")
        assert first is not None
        assert second is not None
        assert second.secret is not first.secret
        assert second.stand_ins == ("stand-in-2", "stand-in-1")
        assert other.owners.keys() == {"stand-in-1", "stand-in-2"}

    asyncio.run(story())
