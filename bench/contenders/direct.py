"""No proxy: what the server, the load generator and this machine can do by themselves."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from bench.contenders.contender import Contender, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.upstream import Upstream


@contextlib.contextmanager
def _open(upstream: Upstream) -> Iterator[Route]:
    yield Route(None, upstream.authority)


CONTENDER: Final = Contender("direct", "nothing; the client holds the real key", _open)
