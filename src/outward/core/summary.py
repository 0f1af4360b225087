"""What a session has done, for the lines at its end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outward.core.refusal import Refusal


class Summary:
    """Counted by the gateway; empty where nothing ever asked it for anything.

    ``bytes_in`` and ``bytes_out`` are octets of bodies, from and to the clients. ``refused`` says how often each request was
    refused (bounded, the rest is in the journal), ``failed`` how often each allowed one did not get through, likewise.
    """

    def __init__(
        self,
        requests: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        refused: Counter[Refusal] | None = None,
        failed: Counter[Refusal] | None = None,
    ) -> None:
        self.requests = requests
        self.bytes_in = bytes_in
        self.bytes_out = bytes_out
        self.refused: Counter[Refusal] = Counter() if refused is None else refused
        self.failed: Counter[Refusal] = Counter() if failed is None else failed
