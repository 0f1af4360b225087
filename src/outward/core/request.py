"""The one canonical form of a request; every decision is about this."""

from __future__ import annotations

from typing import Final


class Request:
    """An HTTP request in canonical form (see :mod:`outward.core.canonical`).

    ``path`` is matched and is what is sent. ``folded`` is how a careless server might read it
    (:func:`outward.core.fold_path`); deny and ask rules look at every reading. ``query`` is as sent, without the ``?``. Header
    names are lower-case; values are as sent.

    A class and no tuple: one is made for each request, and compiled it is a struct.
    """

    __slots__ = ("agent", "folded", "headers", "host", "method", "path", "port", "query", "scheme")

    def __init__(
        self,
        agent: str,
        method: str,
        scheme: str,
        host: str,
        port: int,
        path: str,
        folded: str,
        query: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.agent: Final = agent
        self.method: Final = method
        self.scheme: Final = scheme
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path
        self.folded: Final = folded
        self.query: Final = query
        self.headers: Final = headers
