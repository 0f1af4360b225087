"""What was found."""

from __future__ import annotations

from outward.core.records import NamedTuple


class Finding(NamedTuple):
    """One line. ``remedy`` is the way out where something is not ``good``, in one line as well."""

    name: str
    good: bool
    found: str
    remedy: str = ""
