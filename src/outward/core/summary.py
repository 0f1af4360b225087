"""What a session has done, for the lines at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outward.core.refusal import Refusal


@dataclass(slots=True)
class Summary:
    """Counted by the gateway; empty where nothing ever asked it for anything."""

    requests: int = 0
    bytes_in: int = 0
    """Octets of bodies from the clients."""
    bytes_out: int = 0
    """Octets of bodies to the clients."""
    refused: Counter[Refusal] = field(default_factory=Counter)
    """How often each request was refused; bounded, the rest is in the journal."""
    failed: Counter[Refusal] = field(default_factory=Counter)
    """How often each allowed request did not get through, likewise."""
