"""Which addresses are this machine's own."""

from __future__ import annotations

import socket


def is_local(address: str) -> bool:
    """Whether this machine itself answers to ``address``: binding to it works for own addresses only."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
