"""One request and its answer: the steps of docs/architecture.md, numbered as there.

==== =============================================================================================
step what happens here
==== =============================================================================================
4    one canonical request: CONNECT host = SNI = Host, or 421
5    ``decide``; the journal's ``start``
6    the destination's credentials; what the client sent as credentials does not go out
7    a pooled connection, or dial the checked address with verified TLS
8    the answer streams back through the scrubber; the journal's ``end`` (:mod:`~outward.gateway.answering`)
==== =============================================================================================
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from outward.core import (
    ClientError,
    Code,
    JournalUnavailable,
    OutwardError,
    SecretUnavailable,
    UpstreamError,
)
from outward.credentials.canaries import Watch
from outward.gateway.answering import Answering
from outward.gateway.capturing import Capturing
from outward.gateway.denial import Denial, Refused
from outward.gateway.ruleset import Leaked
from outward.gateway.signing import CONTINUE

if TYPE_CHECKING:
    from outward.audit import Batch
    from outward.core import Destination
    from outward.credentials.injector import Injector
    from outward.gateway.gateway import Gateway
    from outward.gateway.http1 import RequestHead
    from outward.gateway.pool import PoolKey
    from outward.gateway.ruleset import Ruleset
    from outward.gateway.streams import ClientStream, UpstreamStream

_log: Final = logging.getLogger(__name__)


class Exchange(Answering):
    """A request in flight. Made by the client's side, driven by the events of both (:mod:`outward.gateway.streams`)."""

    __slots__ = ("_batch", "_destination", "_gathering", "_injector", "_ruleset", "_task", "_watch", "_whole")

    def __init__(self, gateway: Gateway, client: ClientStream, head: RequestHead) -> None:
        super().__init__(gateway, client, head)
        self._ruleset: Final[Ruleset] = gateway.ruleset
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._injector: Injector
        self._destination: Destination
        self._batch: Batch
        self._gathering = False  # a body whose length is known only when all of it is there
        self._whole = False  # it has been gathered

    # -- steps 4 to 7

    def begin(self, *, done: bool) -> None:
        """Decides about the request and forwards or refuses it. ``done``: it has no body."""
        self._request_done = done
        try:
            self._decide()
            if not done and (canaries := self._injector.canaries()) is not None:
                self._watch = Watch(canaries, lets_pass=self._destination.body_canaries == "record")
            gathers = self._attempt.must_gather(self._request, self._injector) and not done
        except OutwardError as error:
            self.refuse_for(error)
            return
        if not gathers:
            self._go_on()
            return
        self._gathering = self._whole = True
        if self._head.expect_continue:
            self.client.interim(CONTINUE, None)

    def _go_on(self) -> None:
        try:
            ready = self._capturing is None and self._injector.ready()
            if ready:
                self._start()
        except OutwardError as error:
            self.refuse_for(error)
            return
        if ready:
            self.gateway.turn.starting(self)
        else:
            self._wait(recorded=False)

    def recorded(self) -> None:
        """See :class:`~outward.gateway.turn.Starter`. Nothing goes on whose record was not written."""
        if self._record.ended:
            return
        try:
            if not self._batch.written:
                self.refuse_for(self._batch.error or JournalUnavailable("the record was not written"))
                return
            upstream = self.gateway.pool.get(self._pool_key(), self._attempt.wish)
            if upstream is not None:
                self._send(upstream)
                return
        except BaseException:
            self.client.abort()
            raise
        self._wait(recorded=True)

    def _wait(self, *, recorded: bool) -> None:
        """Something takes time: a secret, a connection. Meanwhile the client's body waits in its socket."""
        self.client.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._acquire(recorded=recorded))
        self._task.add_done_callback(self._waited)

    def _waited(self, task: asyncio.Task[None]) -> None:
        """Whatever went wrong, nobody is left waiting: an error that was not foreseen ends the connection."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a request could not be handled", exc_info=error)
            self.client.abort()

    def _decide(self) -> None:
        """Steps 4 and 5. Raises :class:`Refused` or :class:`ClientError`."""
        request = self._request = self._ruleset.canonical(self.client, self._head)
        verdict = self._verdict = self._ruleset.decide(request)
        self._injector = self._ruleset.admit(self._head, verdict, request.agent)
        if verdict.capture:
            self._capturing = Capturing(self, verdict.capture, self._ruleset.agent_store(request.agent))
        assert verdict.destination is not None
        self._destination = verdict.destination

    def _start(self) -> None:
        """Stages the record that has to be written before anything is forwarded. Raises :class:`JournalUnavailable`."""
        assert self._verdict is not None
        self._batch = self._record.start(self._request, self._verdict, self._injector.names)

    async def _acquire(self, *, recorded: bool) -> None:
        """Steps 6 and 7 where they take time. ``recorded``: the journal already has the start."""
        try:
            if not recorded:
                if self._capturing is not None:
                    await self._capturing.begin()
                await self._injector.fetch()
                if not self._injector.ready():
                    raise SecretUnavailable(self._injector.secrets[0], "the value expired before it could be used")
                self._start()
                self.gateway.journal.commit()
            upstream = self.gateway.pool.get(self._pool_key(), self._attempt.wish) or await self._open()
        except OutwardError as error:
            self._task = None
            self.refuse_for(error)
            self.client.resume_reading()
        else:
            # Before the server has its say about that. What comes at once is kept with the rest, while there is a task.
            self.client.resume_reading()
            self._task = None
            self._send(upstream)

    def _pool_key(self) -> PoolKey:
        return self.client.agent, self._destination, self._request.host

    async def _open(self) -> UpstreamStream:
        try:
            return await self.gateway.pool.open(self._pool_key(), self._attempt.wish, self._ruleset.proxies)
        except (UpstreamError, Refused):
            if self._attempt.error is None:
                raise
            raise self._attempt.error from None  # it tells more about what is wrong

    def _send(self, upstream: UpstreamStream) -> None:
        self._upstream = upstream
        try:
            outgoing = self._attempt.outgoing(self._request, self._injector, whole=self._whole)
        except OutwardError as error:
            upstream.close()
            self._upstream = None
            self.refuse_for(error)
            return
        self._record.address = upstream.address
        # The scrubber of the values that go out now: they may be renewed before the answer to them comes.
        self._scrubber = upstream.scrubber(self._injector)
        upstream.begin(self, outgoing.head, outgoing.request, outgoing.injector)
        if self.client.write_paused:
            upstream.pause_reading()
        try:
            self._attempt.begin(upstream, done=self._request_done)
        except ClientError as error:
            self._give_up(error)

    # -- the client's events

    def on_request_body(self, payload: bytes, *, done: bool) -> None:
        """More of the request's body; after an upgrade, whatever the client sends."""
        self._record.body_in += len(payload)
        self._request_done = done
        if self._watch is not None and not self._tunnel:
            payload = self._watch.feed(payload, done=done)
            if self._watch.found is not None:
                self._leaked(self._watch.found, passes=self._watch.lets_pass)
        if self._gathering:
            self._gather(payload, done=done)
        elif self._upstream is not None:
            try:
                self._attempt.pass_on(self._upstream, payload, done=done)
            except ClientError as error:
                self._give_up(error)
        elif not self._record.ended and self._unpacking is None:
            self._attempt.keep(payload)

    def _leaked(self, secret: str, *, passes: bool) -> None:
        """A placeholder stands in the body that does not belong there. What has been forwarded before it is cut short."""
        if passes:
            self._record.leaks = (secret,)
            return
        if self._record.ended:
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        error = Leaked(secret)
        if self._answering:
            self._record.secrets = (secret,)
            self._end(code=error.code, error=error.message)
            self.client.abort()
        else:
            self.refuse_for(error)

    def _gather(self, payload: bytes, *, done: bool) -> None:
        if self._record.ended:
            return
        try:
            self._attempt.gather(payload, self.gateway.gathered)
        except OutwardError as error:
            self.refuse_for(error)
            return
        if done:
            self._gathering = False
            self._go_on()

    def _give_up(self, error: ClientError) -> None:
        """A body that is well framed, and not what it has to be."""
        self.on_request_malformed(error)
        self.client.close()

    def on_request_malformed(self, error: ClientError) -> None:
        """The body is not what the head promised. What was forwarded of it cannot be taken back, so both ends close."""
        if self._task is not None:
            self._task.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        self._end(code=Code.MALFORMED_REQUEST, error=error.message)
        if not self._answering:
            self.client.refuse(Denial(Code.MALFORMED_REQUEST, method=self._head.method, detail=error.message))

    def on_client_lost(self) -> None:
        """The client has gone: so does the request."""
        if self._task is not None:
            self._task.cancel()
        if self._upstream is not None:
            if self._capturing is not None and self._request_done:
                self._capturing.outlive(self._upstream)
            else:
                self._upstream.close()
        self._end(error=None if self._tunnel else "the client closed the connection")

    def expire(self) -> None:
        """Nothing has moved for too long."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.client.resume_reading()
        if self._upstream is not None:
            self._upstream.close()
        if not self._answering:
            self._refuse(Code.UPSTREAM_TIMEOUT, "")
        else:
            self._end(error="nothing was sent for too long")
            self.client.abort()

    # -- the upstream's failure

    def on_upstream_error(self, error: UpstreamError) -> None:
        """The upstream connection failed or sent something that is not HTTP; it is closed by now."""
        upstream, self._upstream = self._upstream, None
        begun = self._answering or self._record.ended or (self._capturing is not None and self._capturing.begun)
        if upstream is not None and not begun and self._attempt.again(upstream, error):
            self._wait(recorded=True)
        else:
            self.failed(error)
