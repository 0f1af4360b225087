"""What both ends of the soak know."""

from __future__ import annotations

from typing import Final

REAL_KEY: Final = "sk-soak-real-0123456789abcdef0123456789abcdef01"
DUMMY_KEY: Final = "sk-soak-dummy-0123456789abcdef0123456789abcdef0"
HTTP: Final = "http.soak.example"
WEBSOCKET: Final = "websocket.soak.example"
GRPC: Final = "grpc.soak.example"
BIG_OCTETS: Final = 4 << 20
EVENTS: Final = 50
"""Server-sent events of one stream, a tenth of a second apart."""
