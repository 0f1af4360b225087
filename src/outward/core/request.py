"""The one canonical form of a request; every decision is about this."""

from __future__ import annotations

from typing import NamedTuple


class Request(NamedTuple):
    """An HTTP request in canonical form (see :mod:`outward.core.canonical`).

    ``path`` is matched and is what is sent. ``folded`` is how a careless server might read it
    (:func:`outward.core.fold_path`); deny and ask rules look at every reading. ``query`` is as sent, without the ``?``. Header
    names are lower-case; values are as sent.
    """

    agent: str
    method: str
    scheme: str
    host: str
    port: int
    path: str
    folded: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
