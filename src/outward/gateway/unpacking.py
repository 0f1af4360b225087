"""Answers that a server compresses although it was asked not to (docs/architecture.md, step 8). Without I/O.

They are sent on uncompressed: to compress them again would cost several times what all the rest costs, for a client that is next
door, and the size of what was compressed would tell whoever chooses the text beside a secret how much of it he has guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from outward.core import UpstreamError
from outward.gateway.codings import Decoding
from outward.gateway.http1 import ResponseHead, codings
from outward.gateway.turn import next_step

if TYPE_CHECKING:
    from outward.gateway.streams import ClientStream

STEP: Final = 256 * 1024
"""Octets that are passed on in one go, about; then the client has to take them and others have their turn."""

_ROUNDS: Final = 16
"""Of decoding in one go: some hostile streams give nothing for a long while."""

_OF_THE_CODED: Final = frozenset(
    # What is said about octets, not about what they mean; and ranges count octets.
    {"accept-ranges", "content-digest", "content-encoding", "content-md5", "digest", "repr-digest"}
)


class Receiver(Protocol):
    """What is asked of an :class:`~outward.gateway.exchange.Exchange`."""

    @property
    def client(self) -> ClientStream:
        """Who takes the answer."""
        ...

    @property
    def over(self) -> bool:
        """Whether nobody waits for it any more."""
        ...

    def pass_on(self, head: ResponseHead | None, payload: bytes, *, done: bool, trailers: str) -> None:
        """Some of the answer to the client."""
        ...

    def failed(self, error: UpstreamError) -> None:
        """There is no answer, or no more of it."""
        ...

    def part_from_upstream(self) -> None:
        """The server has answered."""
        ...

    def pause_upstream(self) -> None:
        """Lets the server wait."""
        ...

    def resume_upstream(self) -> None:
        """Undoes :meth:`pause_upstream`."""
        ...


class Unpacking:
    """One compressed answer. What it grows to does not wait here: the rest of it does, and its server."""

    __slots__ = ("_came", "_decoding", "_head", "_receiver", "_trailers")

    def __init__(self, receiver: Receiver, head: ResponseHead) -> None:
        """Raises :class:`UpstreamError` for what cannot be undone: unknown codings, and parts (RFC 9110 §14)."""
        if head.status == 206:
            raise UpstreamError(
                "the answer is a part of something compressed, which cannot be searched for secrets",
                hint="Ask for all of it, without the Range field.",
            )
        self._receiver: Final = receiver
        self._decoding: Final = Decoding(codings(",".join(head.values("content-encoding"))))
        self._head: ResponseHead | None = _plain(head)
        self._came = False
        self._trailers = ""

    @property
    def waiting(self) -> bool:
        """Whether there is something to go on with."""
        return self._came or self._head is not None or self._decoding.more

    def receive(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the body as it came. ``done``: that was all."""
        busy = self._decoding.more
        self._decoding.feed(payload)
        self._came = done
        self._trailers = trailers
        if done:
            self._receiver.part_from_upstream()
        if not busy:
            self.go_on()

    def go_on(self) -> None:
        """Passes on about :data:`STEP` octets, if the client takes them."""
        receiver = self._receiver
        if receiver.over or receiver.client.write_paused:
            return
        try:
            payload, done = self._take()
        except UpstreamError as error:
            receiver.failed(error)
            return
        head, self._head = self._head, None
        if payload or done or head is not None:
            receiver.pass_on(head, payload, done=done, trailers=self._trailers)
        if done:
            return
        if self._decoding.more:
            receiver.pause_upstream()
            next_step(self.go_on)
        elif not receiver.client.write_paused:
            receiver.resume_upstream()

    def _take(self) -> tuple[bytes, bool]:
        """What is to be passed on now, and whether that is all. Raises :class:`UpstreamError` for what is damaged."""
        decoding, pieces, size = self._decoding, list[bytes](), 0
        for _ in range(_ROUNDS):
            if size >= STEP or not decoding.more:
                break
            pieces.append(decoding.take())
            size += len(pieces[-1])
        done = self._came and not decoding.more
        if done:
            decoding.finish()
        return b"".join(pieces), done


def _plain(head: ResponseHead) -> ResponseHead:
    """The head of the same answer, not compressed. A strong validator becomes a weak one (RFC 9110 §8.8.1)."""
    lines = []
    for key, line in head.lines:
        if key == "etag":
            tag = line[5:].strip(" \t")
            lines.append((key, line if tag.startswith("W/") else f"{line[:5]} W/{tag}"))
        elif key not in _OF_THE_CODED:
            lines.append((key, line))
    return ResponseHead(
        head.status,
        head.reason,
        head.minor,
        lines,
        head.keep_alive,
        head.nominated,
        None,
        head.chunked,
        False,
        head.keep_alive_hint,
    )
