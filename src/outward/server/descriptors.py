"""As many descriptors as connections may need: the usual soft limit of 1,024 is used up by 500 clients."""

from __future__ import annotations

import resource
from typing import Final

from outward.gateway.listeners import MAX_CONNECTIONS

_WANTED: Final = 2 * MAX_CONNECTIONS + 256
"""A connection and its server's; and listeners, the journal, what fetches secrets."""


def allow_descriptors() -> None:
    """Raises the process's soft limit as far as it is needed and the hard one lets it be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
