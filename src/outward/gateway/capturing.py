"""One answer that is captured: gathered, kept outside, and given to the client with stand-ins for its tokens.

Nothing of it goes on before what it brings is in the local store; where that fails, nothing of it goes on at all.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from outward.core import HostError, OutwardError, UpstreamError
from outward.credentials.capture import TokenAnswer, Unreadable
from outward.credentials.captured import unavailable
from outward.credentials.scrub import Scrubber

if TYPE_CHECKING:
    from contextlib import ExitStack

    from outward.credentials.personal import AgentStore
    from outward.gateway.http1 import ResponseHead
    from outward.gateway.streams import ClientStream, UpstreamStream

MAX_ANSWER: Final = 1024 * 1024
"""Octets of an answer that is captured; a larger one is refused."""

OUTLIVED: Final = 30.0
"""Seconds that an answer may take whose client has gone."""

_running: Final[set[asyncio.Task[None]]] = set()  # the loop itself would let go of them
_log: Final = logging.getLogger(__name__)


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

    def pass_on_captured(self, head: ResponseHead, body: bytes, scrubber: Scrubber | None) -> None:
        """All of the answer to the client; ``scrubber`` takes out what it brought."""
        ...

    def failed(self, error: UpstreamError) -> None:
        """There is no answer, or no more of it."""
        ...

    def refuse_for(self, error: OutwardError) -> None:
        """There is no answer; ``error`` tells why."""
        ...

    def part_from_upstream(self) -> None:
        """The server has answered."""
        ...


class Capturing:
    """What becomes of one request to a token endpoint. ``fields`` are the rule's.

    ``begun``: the server has begun to answer. ``kept``: what it brought is kept, or there was nothing.
    """

    def __init__(self, receiver: Receiver, fields: tuple[tuple[str, str], ...], store: AgentStore) -> None:
        self._receiver: Final = receiver
        self._fields: Final = fields
        self._store: Final = store
        self._turn: ExitStack | None = None
        self._ended = False
        self._keeping = False
        self._outlived: asyncio.TimerHandle | None = None
        self._body: Final = bytearray()
        self._head: ResponseHead
        self.begun = False
        self.kept = False

    async def begin(self) -> None:
        """Waits for other refreshes of the same log-in. Raises :class:`~outward.core.SecretUnavailable`."""
        try:
            self._turn = await self._store.take_turn()
        except HostError as error:
            raise unavailable(self._fields[0][1], error) from error
        self._end_turn()

    def end(self) -> None:
        """The exchange is over."""
        self._ended = True
        self._end_turn()

    def outlive(self, upstream: UpstreamStream) -> None:
        """The client has gone. What the service is about to issue is kept all the same: nothing else is good then."""
        self._outlived = asyncio.get_running_loop().call_later(OUTLIVED, self._give_up, upstream)

    @property
    def outlives(self) -> bool:
        """Whether the answer is waited for although the client has gone."""
        return self._outlived is not None

    def _give_up(self, upstream: UpstreamStream) -> None:
        upstream.close()
        self.lost()

    def lost(self) -> None:
        """There will be no answer."""
        if self._outlived is not None:
            self._outlived.cancel()
            self._outlived = None
        self._end_turn()

    def _end_turn(self) -> None:
        if self._ended and not self._keeping and self._outlived is None and self._turn is not None:
            self._turn.close()

    def receive(self, head: ResponseHead | None, payload: bytes, *, done: bool) -> None:
        """Some of the answer. When all of it is there it goes on, with stand-ins.

        What it brings is kept even if nobody waits for it any more: the service has issued it, and may take no second use of what
        it was issued for.
        """
        if head is not None:
            self._head, self.begun = head, True
        self._body.extend(payload)
        if len(self._body) > MAX_ANSWER:
            self._receiver.failed(UpstreamError("the answer of a token endpoint is too large to be captured"))
        elif done:
            self._receiver.part_from_upstream()
            self._keeping = True
            if self._outlived is not None:
                self._outlived.cancel()
                self._outlived = None
            else:
                self._receiver.client.pause_reading()
            task = asyncio.get_running_loop().create_task(self._go_on())
            _running.add(task)
            task.add_done_callback(self._gone_on)

    def _gone_on(self, task: asyncio.Task[None]) -> None:
        _running.discard(task)
        self._keeping = False
        self._end_turn()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an answer could not be captured", exc_info=error)
            self._receiver.client.abort()

    async def _go_on(self) -> None:
        body, scrubber, failure = b"", None, None
        try:
            body, scrubber = await self._keep()
        except OutwardError as error:
            failure = error
        self.kept = True
        if self._receiver.over:
            return
        if failure is None:
            self._receiver.pass_on_captured(self._head, body, scrubber)
        else:
            self._receiver.refuse_for(failure)

    async def _keep(self) -> tuple[bytes, Scrubber | None]:
        """The body that the client gets, and what scrubs the new tokens off all of the answer.

        Raises :class:`UpstreamError`, or :class:`~outward.core.SecretUnavailable` where they cannot be kept.
        """
        body = bytes(self._body)
        try:
            answer = TokenAnswer(_content_type(self._head), body, self._fields)
        except Unreadable:
            if 200 <= self._head.status < 300 and body:
                raise
            return body, None  # an error page, which brings nothing
        if not answer.found:
            return answer.rewritten({}), None
        try:
            stand_ins = await self._store.keep(answer.found)
        except HostError as error:
            raise unavailable(answer.found[0][1], error) from error
        pairs = [(value.encode("ascii"), stand_ins[name].encode("ascii")) for _, name, value in answer.found]
        return answer.rewritten(stand_ins), Scrubber(pairs)


def _content_type(head: ResponseHead) -> str:
    """The media type without parameters; empty where none is named. Raises :class:`UpstreamError` for two of them."""
    found = head.values("content-type")
    if len(found) > 1:
        raise UpstreamError("the answer says twice what it is")
    return found[0].partition(";")[0].strip().lower() if found else ""
