"""Where no group can be made."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from outward.core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outward.core import Limits


class Nowhere(NamedTuple):
    """No group can be made."""

    reason: str
    remedy: str
    holds: frozenset[str] = frozenset()

    @contextmanager
    def group(self, _limits: Limits) -> Iterator[Callable[[int], None]]:
        """There is nothing to put a process into, and whoever asks was told."""
        yield lambda _pid: None

    def describe(self) -> str:
        """``none``, and why."""
        return f"none: {self.reason}"
