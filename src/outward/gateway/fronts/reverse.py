"""Reverse: a listener that stands for one server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.gateway.fronts.handover import speak_http

if TYPE_CHECKING:
    import socket

    from outward.gateway.gateway import Gateway
    from outward.gateway.routes import ReverseRoute


class ReverseFront:
    """Clients speak plain HTTP to us, as if we were the server."""

    def __init__(self, route: ReverseRoute, agent: str) -> None:
        self._route: Final = route
        self._agent: Final = agent
        self.authenticates: Final = False

    async def serve(self, gateway: Gateway, sock: socket.socket) -> None:
        """See :class:`~outward.gateway.listeners.Front`."""
        await speak_http(gateway, sock, self._route, self._agent)
