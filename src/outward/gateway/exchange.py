"""One request and its answer: the steps of docs/architecture.md, numbered as there.

==== =============================================================================================
step what happens here
==== =============================================================================================
4    one canonical request: CONNECT host = SNI = Host, or 421
5    ``decide``; the journal's ``start``
6    the destination's credentials; what the client sent as credentials does not go out
7    a pooled connection, or dial the checked address with verified TLS
8    the answer streams back through the scrubber; the journal's ``end``
==== =============================================================================================
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from outward.core import (
    ClientError,
    Code,
    OutwardError,
    Request,
    SecretUnavailable,
    UpstreamError,
    canonical_path,
    canonical_query,
)
from outward.gateway.answer import Answer
from outward.gateway.denial import Denial, Refused, code_of
from outward.gateway.http1 import CHUNKED, RequestHead, ResponseHead, body_reader, chunk
from outward.gateway.record import Record
from outward.gateway.rewrite import request_head
from outward.gateway.upstream import PoolKey, UpstreamConnection

if TYPE_CHECKING:
    from outward.core import Destination, Verdict
    from outward.credentials import Injector, Scrubber
    from outward.gateway.client import ClientConnection
    from outward.gateway.gateway import Gateway, Ruleset

_log: Final = logging.getLogger(__name__)

RETRIED: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110 §9.2.2): sent again when a kept connection turns out to be closed."""

MAX_DISCARDED: Final = 256 * 1024 * 1024
"""Octets of an unwanted request body that are read and dropped. Closing earlier would reset the answer away unread."""


class Exchange:
    """A request in flight. Made by the client's connection, driven by the events of both connections."""

    __slots__ = (
        "_answer",
        "_close_after",
        "_destination",
        "_discarded",
        "_discarding",
        "_head",
        "_injector",
        "_pending",
        "_reader",
        "_record",
        "_request",
        "_response_done",
        "_ruleset",
        "_scrubber",
        "_task",
        "_tunnel",
        "_upstream",
        "_verdict",
        "client",
        "gateway",
    )

    def __init__(self, gateway: Gateway, client: ClientConnection, head: RequestHead) -> None:
        self.gateway: Final = gateway
        self.client: Final = client
        self._head: Final = head
        self._ruleset: Final[Ruleset] = gateway.ruleset
        self._reader: Final = body_reader(head.length, ClientError)
        self._record: Final = Record(gateway, "websocket" if head.websocket else "http")
        # What is known before the request is: the connection's origin. Step 4 completes it.
        scheme, host, port = client.route.origin
        self._request = Request(client.agent, head.method, scheme, host, port, "", "")
        self._verdict: Verdict | None = None
        self._upstream: UpstreamConnection | None = None
        self._answer: Answer | None = None
        self._scrubber: Scrubber | None = None
        self._task: asyncio.Task[None] | None = None
        self._injector: Injector
        self._destination: Destination
        self._pending = b""
        self._close_after = not head.keep_alive
        self._tunnel = False
        self._discarding = False
        self._discarded = 0
        self._response_done = False

    # -- steps 4 to 7

    def begin(self, rest: bytes) -> None:
        """Decides about the request and forwards or refuses it. ``rest`` is what arrived after the head."""
        self._pending = rest
        try:
            self._decide()
            if self._injector.ready():
                self._start()
                upstream = self.gateway.pool.get(self._pool_key(), self.gateway.clock())
                if upstream is not None:
                    self._send(upstream)
                    return
        except OutwardError as error:
            self._refuse_for(error)
            return
        self._wait(recorded=self._injector.ready())

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
        head = self._head
        target = self.client.route.resolve(head)
        path, folded = canonical_path(target.path)
        headers = tuple((key, value) for key, _, value in head.fields) if self._ruleset.reads_headers else ()
        request = Request(
            self.client.agent,
            head.method,
            target.scheme,
            target.host,
            target.port,
            path,
            folded,
            canonical_query(target.query),
            headers,
        )
        self._request = request
        verdict = self._verdict = self._ruleset.policy.decide(request)
        destination = verdict.destination
        if not verdict.allowed or destination is None:
            leaked = self._ruleset.leak(head) if verdict.code is Code.HOST_NOT_ALLOWED else None
            if leaked is not None:
                raise Refused(Code.PLACEHOLDER_LEAK, f"the placeholder of secret {leaked!r}")
            raise Refused(verdict.code or Code.DENIED_BY_RULE, "")
        if head.method == "TRACE":
            # An answer to TRACE is the request, with the credential that we put in (RFC 9110 §9.3.8).
            raise Refused(Code.METHOD_NOT_ALLOWED, "TRACE is never forwarded")
        self._destination = destination
        self._injector = self._ruleset.injector(destination)
        leaked = self._ruleset.leak(head, bound=self._injector.secrets)
        if leaked is not None:
            raise Refused(Code.PLACEHOLDER_LEAK, f"the placeholder of secret {leaked!r}")

    async def _acquire(self, *, recorded: bool) -> None:
        """Steps 6 and 7 where they take time. ``recorded``: the journal already has the start."""
        try:
            if not recorded:
                await self._injector.fetch()
                if not self._injector.ready():
                    raise SecretUnavailable(self._injector.secrets[0], "the value expired before it could be used")
                self._start()
            upstream = self.gateway.pool.get(self._pool_key(), self.gateway.clock()) or await self._dial()
        except OutwardError as error:
            self._task = None
            self._refuse_for(error)
        else:
            self._task = None
            self._send(upstream)
        self.client.resume_reading()

    def _pool_key(self) -> PoolKey:
        return self.client.agent, self._destination, self._request.host

    async def _dial(self) -> UpstreamConnection:
        key = self._pool_key()
        upstream, address = await self.gateway.dialler.open(
            self._destination,
            key[2],
            lambda: UpstreamConnection(self.gateway.pool, key),
            tls=self._destination.scheme == "https",
        )
        upstream.address = address
        return upstream

    def _send(self, upstream: UpstreamConnection) -> None:
        self._upstream = upstream
        self._record.address = upstream.address
        head = request_head(self._head, self._request, self._injector)
        # The scrubber of the values that go out now: they may be renewed before the answer to them comes.
        self._scrubber = self._injector.scrubber
        pending, self._pending = self._pending, b""
        upstream.begin(self, self._request.method, head)
        if self.client.write_paused:
            upstream.pause_reading()
        if pending:
            self.on_request_data(pending)

    # -- the client's events

    def on_request_data(self, data: bytes) -> None:
        """More of the request's body, or what comes after it."""
        if self._tunnel:
            self._record.body_in += len(data)
            assert self._upstream is not None
            self._upstream.transport.write(data)
            return
        if self._task is not None:
            self._pending += data
            return
        if self._body_complete():
            self.client.keep(data)
            return
        try:
            payload, rest = self._reader.feed(data)
        except ClientError as error:
            self._abort_malformed(error)
            return
        self._record.body_in += len(payload)
        if self._discarding:
            self._discarded += len(payload)
            if self._discarded > MAX_DISCARDED:
                self.client.close()
                return
        elif self._upstream is not None:
            if self._head.length != CHUNKED:
                self._upstream.transport.write(payload)
            else:
                # Trailers of requests are dropped (RFC 9110 §6.5.1): nothing can become a header behind the policy's back.
                self._upstream.transport.write(chunk(payload) + (b"0\r\n\r\n" if self._body_complete() else b""))
        if rest:
            self.client.keep(rest)
        if self._body_complete() and self._response_done:
            self._finish()

    def _body_complete(self) -> bool:
        """Whether all of the request's body has arrived."""
        return self._reader.done

    def on_client_lost(self) -> None:
        """The client has gone: so does the request."""
        if self._task is not None:
            self._task.cancel()
        if self._upstream is not None:
            self._upstream.close()
        self._end(error=None if self._tunnel else "the client closed the connection")

    def pause_upstream(self) -> None:
        """The client cannot take more for now."""
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_upstream(self) -> None:
        """The client can take more."""
        if self._upstream is not None:
            self._upstream.resume_reading()

    @property
    def is_tunnel(self) -> bool:
        """Whether the connection has been upgraded."""
        return self._tunnel

    def expire(self) -> None:
        """Nothing has moved for too long."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.client.resume_reading()
        if self._upstream is not None:
            self._upstream.close()
        if self._answer is None and not self._response_done:
            self._refuse(Code.UPSTREAM_TIMEOUT, "")
        else:
            self._end(error="nothing was sent for too long")
            self.client.abort()

    # -- the upstream's events (step 8)

    def on_interim_response(self, head: ResponseHead) -> None:
        """See :meth:`Answer.interim`."""
        self.client.write(Answer(self._head, self._scrubber, closes=False).interim(head))

    def on_response(self, head: ResponseHead, payload: bytes, *, done: bool, trailers: str) -> None:
        """The answer's head, with as much of its body as came along."""
        # The client may or may not send the body that it asked about; only closing settles it.
        self._close_after |= self._head.expect_continue and not self._reader.done
        answer = Answer(self._head, self._scrubber, closes=self._close_after)
        try:
            out = answer.begin(head, payload, done=done, trailers=trailers)
        except UpstreamError as error:
            self._upstream_failed(error)
            return
        self._answer = answer
        self._close_after = answer.closes
        self._record.answered(head.status)
        self.client.write(out)
        if done:
            self._end_of_response(answer)

    def on_response_data(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the answer's body."""
        answer = self._answer
        assert answer is not None
        out = answer.more(payload, done=done, trailers=trailers)
        if out:
            self.client.write(out)
        if done:
            self._end_of_response(answer)

    def _end_of_response(self, answer: Answer) -> None:
        self._response_done = True
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        if self._reader.done:
            upstream.release()
            self._end()
            self._finish()
        else:
            # An early answer: the server does not want the rest of the body, and its connection is of no more use.
            upstream.close()
            self._end()
            self._discard()

    def on_upstream_error(self, error: UpstreamError) -> None:
        """The upstream connection failed or sent something that is not HTTP; it is closed by now."""
        upstream, self._upstream = self._upstream, None
        stale = upstream is not None and upstream.served > 1 and self._answer is None
        if stale and self._head.length == 0 and self._head.method in RETRIED and not self._head.websocket:
            # A kept connection that the server closed at the same moment; nothing was answered, so ask again anew.
            self._wait(recorded=True)
            return
        self._upstream_failed(error)

    def _upstream_failed(self, error: UpstreamError) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        if self._answer is not None:
            # The client must be able to tell a cut answer from a whole one.
            self._end(error=error.message)
            self.client.abort()
        else:
            self._refuse(Code.UPSTREAM_UNREACHABLE, error.message)

    # -- after 101: a tunnel

    def on_switching_protocols(self, head: ResponseHead) -> None:
        """The server accepts the WebSocket (RFC 6455 §4.2.2)."""
        if not self._head.websocket:
            self._upstream_failed(UpstreamError("the server switched protocols unasked"))
            return
        self._tunnel = True
        self._answer = Answer(self._head, self._scrubber, closes=True)
        self._record.answered(head.status)
        self.client.write(self._answer.switching(head))

    def on_tunnel_data(self, data: bytes) -> None:
        """From the server to the client."""
        self._record.body_out += len(data)
        self.client.write(data)

    def on_tunnel_closed(self) -> None:
        """The server has closed the tunnel."""
        self._upstream = None
        self._end()
        self.client.close()

    # -- refusals and ends

    def _refuse_for(self, error: OutwardError) -> None:
        self._refuse(code_of(error), error.message, error.hint)

    def _refuse(self, code: Code, detail: str, hint: str = "") -> None:
        request, verdict, head = self._request, self._verdict, self._head
        denial = Denial(
            code,
            method=head.method,
            scheme=request.scheme,
            host=request.host,
            port=request.port,
            path=request.path,
            rule=verdict.rule if verdict else "",
            detail=detail,
            hint=hint,
        )
        self._response_done = True
        # A client that waits for 100 may or may not send its body now; only closing settles it.
        self._close_after |= head.expect_continue or code is Code.MALFORMED_REQUEST
        answer = denial.response(head_only=head.method == "HEAD", close=self._close_after)
        self._record.body_out = len(answer)
        self._end(code=code, error=detail or None)
        self.client.write(answer)
        self._discard()

    def _discard(self) -> None:
        """Reads the rest of a request body that nobody wants, so that the client gets to read the answer."""
        self._discarding = True
        self.client.resume_reading()  # the server may have held it up, and will not say any more that it has caught up
        if self._head.expect_continue:
            self.client.close()
            return
        pending, self._pending = self._pending, b""
        if self._reader.done:
            if pending:
                self.client.keep(pending)
            self._finish()
        elif pending:
            self.on_request_data(pending)

    def _abort_malformed(self, error: ClientError) -> None:
        """The body is not what the head promised. What was forwarded of it cannot be taken back, so both ends close."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        self._end(code=Code.MALFORMED_REQUEST, error=error.message)
        if self._answer is None and not self._response_done:
            denial = Denial(Code.MALFORMED_REQUEST, method=self._head.method, detail=error.message)
            self.client.write(denial.response(close=True))
        self.client.close()

    def _finish(self) -> None:
        self.client.exchange_done(close=self._close_after)

    def _start(self) -> None:
        """Before anything is forwarded. Raises :class:`JournalUnavailable`."""
        assert self._verdict is not None
        self._record.start(self._request, self._verdict, self._injector.secrets)

    def _end(self, *, code: Code | None = None, error: str | None = None) -> None:
        if self._answer is not None and not self._tunnel:
            self._record.body_out = self._answer.octets
        self._record.end(self._request, self._verdict, code=code, error=error)
