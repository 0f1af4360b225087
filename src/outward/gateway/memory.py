"""The process's memory: what the collector need not look at, and what goes back to the system."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

GIVE_BACK_EVERY: Final = 30.0
"""Seconds between gifts."""

_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU library's; others do without


def settle() -> None:
    """Spares the collector what lives as long as the process: modules, the policy, certificates.

    Exchanges are freed by reference counting; looking for cycles among them every 700 objects cost 5 % of the time. Those
    that there are, HTTP/2's, outlive a look at the young if their connection was open then: the old are looked at as well.
    """
    gc.freeze()
    gc.set_threshold(50_000, 5, 5)


def give_back() -> None:
    """Returns free pages to the system.

    Large transfers come and go among small objects that stay, so that freed memory is seldom at the end of the heap, from
    where alone it goes back by itself. Takes a millisecond or two.
    """
    if _trim is not None:
        _trim(0)
