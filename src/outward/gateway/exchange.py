"""One request and its answer: the steps of DESIGN §3, numbered as there.

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
from typing import TYPE_CHECKING, Final

from outward.core import (
    ClientError,
    Code,
    JournalUnavailable,
    OutwardError,
    Request,
    SecretUnavailable,
    UpstreamError,
    canonical_path,
    canonical_query,
)
from outward.gateway.denial import Denial
from outward.gateway.dial import DialError
from outward.gateway.http1 import CHUNKED, RequestHead, ResponseHead, body_reader, chunk
from outward.gateway.record import Outcome, end_event, shown_path, start_event
from outward.gateway.rewrite import request_head, response_head, trailer_section
from outward.gateway.routes import HostMismatch
from outward.gateway.upstream import PoolKey, UpstreamConnection

if TYPE_CHECKING:
    from outward.core import Destination, Verdict
    from outward.credentials import Injector
    from outward.credentials.scrub import Stream
    from outward.gateway.client import ClientConnection
    from outward.gateway.gateway import Gateway, Ruleset

RETRIED: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110 §9.2.2): sent again when a kept connection turns out to be closed."""

MAX_DISCARDED: Final = 16 * 1024 * 1024
"""Octets of an unwanted request body that are read and dropped, so that the client gets to read the answer."""


class Exchange:
    """A request in flight. Made by the client's connection, driven by the events of both connections."""

    __slots__ = (
        "_address",
        "_body_in",
        "_body_out",
        "_chunked",
        "_close_after",
        "_destination",
        "_discarding",
        "_ended",
        "_first_byte",
        "_head",
        "_id",
        "_injector",
        "_pending",
        "_reader",
        "_request",
        "_responded",
        "_response_done",
        "_ruleset",
        "_shown",
        "_started",
        "_status",
        "_stream",
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
        self._id: Final = gateway.next_id()
        self._started: Final = gateway.clock()
        self._reader: Final = body_reader(head.length, ClientError)
        self._close_after = not head.keep_alive
        # What is known before the request is: the connection's origin. Step 4 completes it.
        scheme, host, port = client.route.origin
        self._request = Request(client.agent, head.method, scheme, host, port, "", "")
        self._verdict: Verdict | None = None
        self._upstream: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._injector: Injector
        self._destination: Destination
        self._pending = b""
        self._address = ""
        self._shown = ""
        self._status: int | None = None
        self._body_in = 0
        self._body_out = 0
        self._first_byte = 0.0
        self._chunked = False
        self._tunnel = False
        self._discarding = False
        self._responded = False
        self._response_done = False
        self._ended = False

    # -- steps 4 to 7

    def begin(self, rest: bytes) -> None:
        """Decides about the request and forwards or refuses it. ``rest`` is what arrived after the head."""
        self._pending = rest
        try:
            self._decide()
            if self._injector.ready():
                self._record_start()
                upstream = self.gateway.pool.get(self._pool_key(), self._started)
                if upstream is not None:
                    self._send(upstream)
                    return
        except OutwardError as error:
            self._refuse_for(error)
            return
        # Something has to be waited for: a secret, a connection. The client's body waits in its socket.
        self.client.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._acquire(recorded=self._injector.ready()))

    def _decide(self) -> None:
        """Steps 4 and 5. Raises :class:`_Refused` or :class:`ClientError`."""
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
                raise _Refused(Code.PLACEHOLDER_LEAK, f"the placeholder of secret {leaked!r}")
            raise _Refused(verdict.code or Code.DENIED_BY_RULE, "")
        if head.method == "TRACE":
            # An answer to TRACE is the request, with the credential that we put in (RFC 9110 §9.3.8).
            raise _Refused(Code.METHOD_NOT_ALLOWED, "TRACE is never forwarded")
        self._destination = destination
        self._injector = self._ruleset.injector(destination)
        leaked = self._ruleset.leak(head, bound=self._injector.secrets)
        if leaked is not None:
            raise _Refused(Code.PLACEHOLDER_LEAK, f"the placeholder of secret {leaked!r}")

    async def _acquire(self, *, recorded: bool) -> None:
        """Steps 6 and 7 where they take time. ``recorded``: the journal already has the start."""
        try:
            if not recorded:
                await self._injector.fetch()
                if not self._injector.ready():
                    raise SecretUnavailable(self._injector.secrets[0], "the value expired before it could be used")
                self._record_start()
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
        self._address = upstream.address
        head = request_head(self._head, self._request, self._injector)
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
            self._body_in += len(data)
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
        self._body_in += len(payload)
        if self._discarding:
            if self._body_in > MAX_DISCARDED:
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
        self._record_end(error=None if self._tunnel else "the client closed the connection")

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
        if self._upstream is not None:
            self._upstream.close()
        if self._responded:
            self._record_end(error="nothing was sent for too long")
            self.client.abort()
        else:
            self._refuse(Code.UPSTREAM_TIMEOUT, "")

    # -- the upstream's events (step 8)

    def on_interim_response(self, head: ResponseHead) -> None:
        """100 and 103 (RFC 9110 §15.2) go through; HTTP/1.0 clients do not know them."""
        if self._head.minor == 1:
            self.client.write(response_head(head, "", self._injector.scrubber))

    def on_response(self, head: ResponseHead, payload: bytes, *, done: bool, trailers: str) -> None:
        """The answer's head, with as much of its body as came along."""
        scrubber = self._injector.scrubber
        length = head.length
        if not (done and not payload) and scrubber is not None and head.encoded:
            self._upstream_failed(UpstreamError("the answer is compressed although it was asked not to be"))
            return
        self._responded = True
        self._status = head.status
        self._first_byte = self.gateway.clock()
        if done and not trailers:
            # The whole answer is here: scrub it whole, announce its true length.
            body = scrubber.octets(payload) if scrubber is not None and payload else payload
            has_no_body = self._head.method == "HEAD" or head.status in {204, 304}
            announced = length if has_no_body else len(body)
        else:
            self._stream = scrubber.stream() if scrubber is not None else None
            body = self._stream.feed(payload) if self._stream is not None else payload
            announced = length if scrubber is None or scrubber.keeps_length else None
            self._chunked = announced is None and self._head.minor == 1
            self._close_after |= announced is None and not self._chunked
        # The client may or may not send the body that it asked about; only closing settles it.
        self._close_after |= self._head.expect_continue and not self._reader.done
        framing = _framing(announced, chunked=self._chunked, close=self._close_after, has_body=head.status != 204)
        out = response_head(head, framing, scrubber)
        self._body_out += len(body)
        self.client.write(out + (chunk(body) if self._chunked else body))
        if done:
            self._end_of_response(trailers)

    def on_response_data(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the answer's body."""
        if self._stream is not None:
            payload = self._stream.feed(payload)
        self._body_out += len(payload)
        self.client.write(chunk(payload) if self._chunked else payload)
        if done:
            self._end_of_response(trailers)

    def _end_of_response(self, trailers: str) -> None:
        last = self._stream.finish() if self._stream is not None else b""
        self._body_out += len(last)
        if self._chunked:
            section = trailer_section(trailers, self._injector.scrubber) if trailers else ""
            last = chunk(last) + f"0\r\n{section}\r\n".encode("latin-1")
        if last:
            self.client.write(last)
        self._response_done = True
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        if self._reader.done:
            upstream.release()
            self._record_end()
            self._finish()
        else:
            # An early answer: the server does not want the rest of the body, and its connection is of no more use.
            upstream.close()
            self._record_end()
            self._discard()

    def on_upstream_error(self, error: UpstreamError) -> None:
        """The upstream connection failed or sent something that is not HTTP; it is closed by now."""
        upstream, self._upstream = self._upstream, None
        stale = upstream is not None and upstream.served > 1 and not self._responded
        if stale and self._head.length == 0 and self._head.method in RETRIED and not self._head.websocket:
            # A kept connection that the server closed at the same moment; nothing was answered, so ask again anew.
            self._task = asyncio.get_running_loop().create_task(self._acquire(recorded=True))
            return
        self._upstream_failed(error)

    def _upstream_failed(self, error: UpstreamError) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        if self._responded:
            # The client must be able to tell a cut answer from a whole one.
            self._record_end(error=error.message)
            self.client.abort()
        else:
            self._refuse(Code.UPSTREAM_UNREACHABLE, error.message)

    # -- after 101: a tunnel

    def on_switching_protocols(self, head: ResponseHead) -> None:
        """The server accepts the WebSocket (RFC 6455 §4.2.2)."""
        if not self._head.websocket:
            self._upstream_failed(UpstreamError("the server switched protocols unasked"))
            return
        self._responded = self._tunnel = True
        self._status = head.status
        self._first_byte = self.gateway.clock()
        framing = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        self.client.write(response_head(head, framing, self._injector.scrubber))

    def on_tunnel_data(self, data: bytes) -> None:
        """From the server to the client."""
        self._body_out += len(data)
        self.client.write(data)

    def on_tunnel_closed(self) -> None:
        """The server has closed the tunnel."""
        self._upstream = None
        self._record_end()
        self.client.close()

    # -- refusals and ends

    def _refuse_for(self, error: OutwardError) -> None:
        if isinstance(error, _Refused | DialError):
            self._refuse(error.code, error.message, error.hint)
            return
        for kind, code in _CODE_OF_ERROR:
            if isinstance(error, kind):
                self._refuse(code, error.message, error.hint)
                return
        raise error

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
        self._responded = self._response_done = True
        # A client that waits for 100 may or may not send its body now; only closing settles it.
        self._close_after |= head.expect_continue or code is Code.MALFORMED_REQUEST
        answer = denial.response(head_only=head.method == "HEAD", close=self._close_after)
        self._body_out = len(answer)
        self._record_end(code=code, status=denial.status, error=detail or None)
        self.client.write(answer)
        self._discard()

    def _discard(self) -> None:
        """Reads the rest of a request body that nobody wants, so that the client gets to read the answer."""
        self._discarding = True
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
        if not self._responded:
            denial = Denial(Code.MALFORMED_REQUEST, method=self._head.method, detail=error.message)
            self.client.write(denial.response(close=True))
        self._record_end(code=Code.MALFORMED_REQUEST, status=400, error=error.message)
        self.client.close()

    def _finish(self) -> None:
        self.client.exchange_done(close=self._close_after)

    # -- the journal

    def _record_start(self) -> None:
        """Before anything is forwarded. Raises :class:`JournalUnavailable`."""
        request, verdict = self._request, self._verdict
        assert verdict is not None
        self._shown = shown_path(request.path, request.query, self._ruleset.store)
        self.gateway.journal.append(
            start_event(self._id, self._kind(), request, verdict, self._shown, self._injector.secrets)
        )

    def _record_end(self, *, code: Code | None = None, status: int | None = None, error: str | None = None) -> None:
        """Once, however many things go wrong at the end."""
        if self._ended:
            return
        self._ended = True
        now = self.gateway.clock()
        request, verdict = self._request, self._verdict
        if not self._shown:
            self._shown = shown_path(request.path, request.query, self._ruleset.store)
        outcome = Outcome(
            status if status is not None else self._status,
            self._body_in,
            self._body_out,
            now - self._started,
            self._first_byte - self._started if self._first_byte else None,
            self._address or None,
            code,
            error,
        )
        allowed = code is None and verdict is not None
        self.gateway.ended(
            end_event(
                self._id,
                self._kind(),
                request,
                "allow" if allowed else "deny",
                verdict.rule if verdict else "",
                self._shown,
                self._injector.secrets if allowed else (),
                outcome,
            )
        )

    def _kind(self) -> str:
        return "websocket" if self._head.websocket else "http"


class _Refused(OutwardError):
    """The answer is no, with a code."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code


_CODE_OF_ERROR: Final[tuple[tuple[type[OutwardError], Code], ...]] = (
    # From the most to the least specific; errors that carry a code of their own do not stand here.
    (HostMismatch, Code.HOST_MISMATCH),
    (ClientError, Code.MALFORMED_REQUEST),
    (SecretUnavailable, Code.SECRET_UNAVAILABLE),
    (JournalUnavailable, Code.JOURNAL_UNAVAILABLE),
)


def _framing(announced: int | None, *, chunked: bool, close: bool, has_body: bool) -> str:
    lines = "connection: close\r\n" if close else ""
    if chunked:
        return lines + "transfer-encoding: chunked\r\n"
    return lines if announced is None or not has_body else f"{lines}content-length: {announced}\r\n"
