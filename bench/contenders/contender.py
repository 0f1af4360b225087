"""What a contender is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bench.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Route:
    """A running contender: where its proxy listens (``None``: straight), who signs what clients see, its process."""

    proxy: str | None
    authority: Path
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """``does`` says what it does to each request. ``missing`` says why it cannot be measured here, or nothing."""

    name: str
    does: str
    open: Callable[[Upstream], AbstractContextManager[Route]]
    missing: Callable[[], str] = lambda: ""
    fetch: Callable[[], None] = lambda: None
