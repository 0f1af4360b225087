"""How soon the place of a worker that died is taken. Pure: the clock is elsewhere."""

from __future__ import annotations

from typing import Final

SETTLED: Final = 60.0
"""Seconds of service after which an end counts as the first again."""
LONGEST: Final = 30.0
"""Seconds between two tries, at most."""
_FIRST: Final = 0.5


class Backoff:
    """For one place: at once the first time, then after 0.5, 1, 2 … 30 seconds while workers keep dying."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, served: float) -> float:
        """Seconds to wait after the end of a worker that accepted connections for ``served`` seconds (0: never did)."""
        self._deaths = 1 if served >= SETTLED else self._deaths + 1
        if self._deaths == 1:
            return 0.0
        # Bounded before it is raised: deaths may go on for weeks.
        return min(LONGEST, _FIRST * 2.0 ** min(self._deaths - 2, 16))
