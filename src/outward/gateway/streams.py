"""What an exchange asks of its two sides, whichever version of HTTP each of them speaks.

Heads, payloads and trailers are the common currency (:class:`RequestHead`, :class:`ResponseHead`, octets, the raw trailer
section); framing is each side's own affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from outward.core import UpstreamError

if TYPE_CHECKING:
    from outward.core import Request
    from outward.credentials.injector import Injector
    from outward.credentials.scrub import Scrubber
    from outward.gateway.denial import Denial
    from outward.gateway.exchange import Exchange
    from outward.gateway.http1 import RequestHead, ResponseHead
    from outward.gateway.routes import Route


class Unprocessed(UpstreamError):
    """The server has certainly not acted on the request, which may be sent again whatever its method (RFC 9113 §8.7)."""


class NotHttp1(UpstreamError):
    """The server has not agreed to HTTP/1.1, and what it did was not HTTP/1.1."""


class ClientStream(Protocol):
    """The client's side of one exchange. It feeds the exchange through its ``on_request_…`` methods."""

    @property
    def agent(self) -> str:
        """Whose request this is."""
        ...

    @property
    def route(self) -> Route:
        """Where the connection leads."""
        ...

    @property
    def http2(self) -> bool:
        """Whether the client speaks HTTP/2; then it is better spoken with the server, too."""
        ...

    @property
    def write_paused(self) -> bool:
        """Whether the client has to catch up before more is written."""
        ...

    @property
    def answer_octets(self) -> int:
        """Octets of the answer's body so far."""
        ...

    def interim(self, head: ResponseHead, scrubber: Scrubber | None) -> None:
        """An answer before the answer: 100 or 103 (RFC 9110 §15.2)."""
        ...

    def answer(
        self, head: ResponseHead, scrubber: Scrubber | None, payload: bytes, *, done: bool, trailers: str
    ) -> None:
        """The answer's head, with as much of its body as came along.

        Raises :class:`~outward.core.UpstreamError`, with nothing written, for an answer that cannot be scrubbed.
        """
        ...

    def answer_more(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the answer's body. Raises :class:`~outward.core.UpstreamError` likewise."""
        ...

    def switch(self, head: ResponseHead, scrubber: Scrubber | None) -> None:
        """The server has accepted a WebSocket: from here on octets go through as they are."""
        ...

    def tunnel(self, data: bytes) -> None:
        """Octets from the server, after :meth:`switch`."""
        ...

    def refuse(self, denial: Denial) -> None:
        """A refusal in place of an answer. The exchange says :meth:`exchange_done` next."""
        ...

    def exchange_done(self) -> None:
        """The answer is complete. What the client still sends of its request is nobody's any more."""
        ...

    def pause_reading(self) -> None:
        """Lets the client wait with its body."""
        ...

    def resume_reading(self) -> None:
        """Undoes :meth:`pause_reading`."""
        ...

    def close(self) -> None:
        """Ends this stream after what has been written."""
        ...

    def abort(self) -> None:
        """Ends this stream at once, so that the client sees a cut answer for what it is."""
        ...


class UpstreamStream(Protocol):
    """The server's side of one exchange. It feeds the exchange through its other ``on_…`` methods."""

    @property
    def address(self) -> str:
        """The address that was dialled."""
        ...

    @property
    def reused(self) -> bool:
        """Whether the connection has served others before: then the server may have closed it in the meantime."""
        ...

    def scrubber(self, injector: Injector) -> Scrubber | None:
        """What the answer has to be scrubbed of."""
        ...

    def begin(self, exchange: Exchange, head: RequestHead, request: Request, injector: Injector) -> None:
        """Sends the request's head, rewritten; the answer goes to ``exchange``."""
        ...

    def send(self, payload: bytes, *, done: bool) -> None:
        """More of the request's body, or of a tunnel. ``done``: that was all."""
        ...

    def pause_reading(self) -> None:
        """Lets the server wait."""
        ...

    def resume_reading(self) -> None:
        """Undoes :meth:`pause_reading`."""
        ...

    def release(self) -> None:
        """The exchange is over on both sides: the connection may serve others."""
        ...

    def close(self) -> None:
        """Gives this exchange up; what is in flight of it is lost."""
        ...
