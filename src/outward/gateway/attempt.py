"""Sending a request, and sending it once more where that is safe (RFC 9110 §9.2.2, RFC 9113 §8.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import ClientError
from outward.credentials.forms.body import BodySwap
from outward.gateway.http1 import CHUNKED
from outward.gateway.pool import Wish
from outward.gateway.signing import MAX_SIGNED, Outgoing, read, signed
from outward.gateway.streams import NotHttp1, Unprocessed

if TYPE_CHECKING:
    from outward.core import Request, UpstreamError
    from outward.credentials.forms.body import BodyTable
    from outward.credentials.forms.signing import BodyFilter, Signing
    from outward.credentials.injector import Injector
    from outward.gateway.http1 import RequestHead
    from outward.gateway.signing import Room
    from outward.gateway.streams import UpstreamStream

RETRIED: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110 §9.2.2): sent again when a kept connection turns out to be closed."""

MAX_REPEATABLE: Final = 64 * 1024
"""Octets of a request's body that are kept in case that it has to be sent once more."""

MAX_GATHERED: Final = 1024 * 1024
"""Octets of a request's body that are kept to find its new length, where placeholders are swapped in it."""


class Attempt:
    """What is asked of the server's side for one request, and what is kept of its body.

    ``wish`` is what would be spoken. ``error`` is why the request is sent once more, if it is.
    """

    __slots__ = ("_head", "_kept", "_sent", "_signing", "_swap", "_taken", "error", "wish")

    def __init__(self, head: RequestHead, *, http2: bool) -> None:
        self._head: Final = head
        self._kept: bytearray | None = None  # of the body, for want of a server that takes it
        self._sent: bytes | None = b""  # of the body so far; `None` where it is too much to be sent again
        self._swap: BodyFilter | None = None
        self._signing: Signing | None = None
        self._taken = 0  # octets of the room for bodies that are gathered
        self.error: UpstreamError | None = None
        if head.websocket:
            self.wish = Wish.UPGRADE
        else:
            self.wish = Wish.HTTP2 if http2 else Wish.HTTP1

    def must_gather(self, request: Request, injector: Injector) -> bool:
        """Whether the body is needed as a whole, because its new length or its hash has to be announced before it.

        Where it is about the length, a body that is too long to be kept goes on in chunks, and so does one that a client does
        not send before it is told to. Raises :class:`ClientError` for a request that would have to be signed and cannot be.
        """
        head = self._head
        self._signing = read(head, request, injector)
        if self._signing is not None:
            return self._signing.needs_body
        known = 0 < head.length <= MAX_GATHERED and not head.expect_continue
        return known and injector.looks_into_body(head.fields)

    def gather(self, payload: bytes, room: Room) -> None:
        """More of the body, all of which is needed. Raises :class:`ClientError` or :class:`Refused` where it is too much."""
        self.keep(payload)
        if self._signing is not None:
            room.take(len(payload))
            self._taken += len(payload)
            if self._taken > MAX_SIGNED:
                raise ClientError(
                    f"the body has more than {MAX_SIGNED} octets, so that it is not kept for its signature"
                )

    def let_go(self, room: Room) -> None:
        """The body is not needed any more."""
        room.give(self._taken)
        self._taken = 0

    def keep(self, payload: bytes) -> None:
        """More of the body, while there is no server yet."""
        if self._kept is None:
            self._kept = bytearray()
        self._kept += payload

    def outgoing(self, request: Request, injector: Injector, *, whole: bool) -> Outgoing:
        """What is sent. ``whole``: what has been kept is all of the body.

        Raises :class:`ClientError` or :class:`SecretUnavailable` for what cannot be swapped in it, or signed.
        """
        if self._signing is None:
            return Outgoing(self.swapping(injector.body_table(self._head.fields), whole=whole), request, injector)
        body = bytes(self._kept or b"") if whole else None
        outgoing = signed(self._signing, self._head, request, injector, body)
        self._swap = outgoing.body
        return outgoing

    def swapping(self, table: BodyTable | None, *, whole: bool) -> RequestHead:
        """The head to send where placeholders are swapped in the body. ``whole``: what has been kept is all of it.

        Else nobody knows how long it will be, so that it is sent in chunks.
        """
        head = self._head
        if table is None or head.length == 0:
            return head
        self._swap = BodySwap(table)
        return head.with_length(len(table.whole(bytes(self._kept or b""))) if whole else CHUNKED)

    def begin(self, upstream: UpstreamStream, *, done: bool) -> None:
        """Passes on what has been kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self.pass_on(upstream, bytes(kept), done=done)

    def pass_on(self, upstream: UpstreamStream, payload: bytes, *, done: bool) -> None:
        """More of the body, or of a tunnel. ``done``: that was all."""
        if self._sent is not None:
            self._sent = self._sent + payload if len(self._sent) + len(payload) <= MAX_REPEATABLE else None
        if self._swap is not None:
            payload = self._swap.feed(payload, last=done)
        upstream.send(payload, done=done)

    def again(self, upstream: UpstreamStream, error: UpstreamError) -> bool:
        """Whether a request that has failed, with no answer, is to be sent anew."""
        if isinstance(error, Unprocessed | NotHttp1):
            if self._sent is None or self.error is not None or self.wish is Wish.UPGRADE:
                return False
            if self._head.length:
                self._kept, self._sent = bytearray(self._sent) + (self._kept or b""), b""
            self.error = error
            if isinstance(error, NotHttp1):
                self.wish = Wish.LAST
            return True
        # A kept connection that the server closed at the same moment. Whether it has acted on the request is unknown.
        return upstream.reused and self._head.length == 0 and self._head.method in RETRIED
