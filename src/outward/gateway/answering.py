"""The answer to a request, and the end of both: step 8 of an :mod:`~outward.gateway.exchange`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import Code, OutwardError, Request, UpstreamError
from outward.gateway.attempt import Attempt
from outward.gateway.denial import Denial, code_of
from outward.gateway.record import Record
from outward.gateway.ruleset import Leaked
from outward.gateway.turn import next_step
from outward.gateway.websocket import check_answer, check_unextended
from outward.gateway.websocket_frames import ServerFrames

if TYPE_CHECKING:
    from outward.core import Verdict
    from outward.credentials.scrub import Scrubber
    from outward.gateway.capturing import Capturing
    from outward.gateway.gateway import Gateway
    from outward.gateway.http1 import RequestHead, ResponseHead
    from outward.gateway.streams import ClientStream, UpstreamStream
    from outward.gateway.unpacking import Unpacking


class Answering:
    """What an :class:`~outward.gateway.exchange.Exchange` does with what the server says, or does not say."""

    __slots__ = (
        "_answering",
        "_attempt",
        "_capturing",
        "_frames",
        "_head",
        "_record",
        "_request",
        "_request_done",
        "_scrubber",
        "_tunnel",
        "_unpacking",
        "_upstream",
        "_verdict",
        "client",
        "gateway",
    )

    def __init__(self, gateway: Gateway, client: ClientStream, head: RequestHead) -> None:
        self.gateway: Final = gateway
        self.client: Final = client
        self._head: Final = head
        self._record: Final = Record(gateway, "websocket" if head.websocket else "http")
        # What is known before the request is: the connection's origin. Step 4 completes it.
        scheme, host, port = client.route.origin
        self._request = Request(client.agent, head.method, scheme, host, port, "", "")
        self._verdict: Verdict | None = None
        self._upstream: UpstreamStream | None = None
        self._attempt: Final = Attempt(head, http2=client.http2)
        self._scrubber: Scrubber | None = None
        self._frames: ServerFrames | None = None
        self._unpacking: Unpacking | None = None
        self._capturing: Capturing | None = None
        self._request_done = False
        self._answering = False
        self._tunnel = False

    # -- the upstream's events

    def on_interim_response(self, head: ResponseHead) -> None:
        """100 or 103: there is more to come."""
        self.client.interim(head, self._scrubber)

    def on_response(self, head: ResponseHead, payload: bytes, *, done: bool, trailers: str) -> None:
        """The answer's head, with as much of its body as came along."""
        if not head.encoded or (self._scrubber is None and self._capturing is None):
            self.pass_on(head, payload, done=done, trailers=trailers)
            return
        # Here: few answers need it, and `outward run` has to start quickly.
        from outward.gateway.unpacking import Unpacking

        try:
            self._unpacking = Unpacking(self, head)
        except UpstreamError as error:
            self.failed(error)
            return
        self._unpacking.receive(payload, done=done, trailers=trailers)

    def on_response_data(self, payload: bytes, *, done: bool, trailers: str) -> None:
        """More of the answer's body."""
        if self._unpacking is not None:
            self._unpacking.receive(payload, done=done, trailers=trailers)
        else:
            self.pass_on(None, payload, done=done, trailers=trailers)

    def pass_on(self, head: ResponseHead | None, payload: bytes, *, done: bool, trailers: str) -> None:
        """Some of the answer to the client; ``head`` if it begins with that."""
        if self._capturing is not None and not self._capturing.kept:
            self._capturing.receive(head, payload, done=done)
            return
        try:
            if head is not None:
                self.client.answer(head, self._scrubber, payload, done=done, trailers=trailers)
                self._answering = True
                self._record.answered(head.status)
            else:
                self.client.answer_more(payload, done=done, trailers=trailers)
        except UpstreamError as error:
            self.failed(error)
            return
        if done:
            self.part_from_upstream()
            self._end()
            self.client.exchange_done()

    def part_from_upstream(self) -> None:
        """The server has answered."""
        upstream, self._upstream = self._upstream, None
        if upstream is None:
            return
        if self._request_done:
            upstream.release()
        else:
            # An early answer: the server does not want the rest of the body, and its connection is of no more use.
            upstream.close()

    def pass_on_captured(self, head: ResponseHead, body: bytes, scrubber: Scrubber | None) -> None:
        """All of the answer to the client; ``scrubber`` takes out what it brought."""
        if scrubber is not None:
            self._scrubber = scrubber if self._scrubber is None else self._scrubber.joined(scrubber)
        self.pass_on(head, body, done=True, trailers="")

    @property
    def over(self) -> bool:
        """Whether nobody waits for it any more: neither the client nor, for what it brings, the store."""
        return self._record.ended and (self._capturing is None or not self._capturing.outlives)

    def failed(self, error: UpstreamError) -> None:
        """There is no answer, or no more of it."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        if self._record.ended:  # nobody waits for it any more
            if self._capturing is not None:
                self._capturing.lost()
            return
        if self._answering:
            # The client must be able to tell a cut answer from a whole one.
            self._end(error=error.message)
            self.client.abort()
        else:
            self._refuse(Code.UPSTREAM_UNREACHABLE, error.message, error.hint)

    # -- after 101: a tunnel

    def on_switching_protocols(self, head: ResponseHead) -> None:
        """The server accepts the WebSocket (RFC 6455 §4.2.2)."""
        try:
            if not self._head.websocket or not self._request_done or self._capturing is not None:
                raise UpstreamError("the server switched protocols unasked")
            check_answer(self._head, head)
            if self._scrubber is not None:
                check_unextended(head)
                self._frames = ServerFrames(self._scrubber)
        except UpstreamError as error:
            self.failed(error)
            return
        self._tunnel = self._answering = True
        self._record.answered(head.status)
        self.client.switch(head, self._scrubber)

    def on_tunnel_data(self, data: bytes) -> None:
        """From the server to the client."""
        if self._frames is not None:
            try:
                data = self._frames.feed(data)
            except UpstreamError as error:
                self.failed(error)
                return
            if not data:
                return
        self._record.body_out += len(data)
        self.client.tunnel(data)

    def on_tunnel_closed(self) -> None:
        """The server has closed the tunnel."""
        self._upstream = None
        self._end()
        self.client.close()

    # -- the client's pace

    def pause_upstream(self) -> None:
        """The client cannot take more for now."""
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_upstream(self) -> None:
        """The client can take more."""
        if self._unpacking is not None and self._unpacking.waiting:
            next_step(self._unpacking.go_on)
        elif self._upstream is not None:
            self._upstream.resume_reading()

    @property
    def is_tunnel(self) -> bool:
        """Whether the connection has been upgraded."""
        return self._tunnel

    # -- refusals and ends

    def refuse_for(self, error: OutwardError) -> None:
        """There is no answer; ``error`` tells why."""
        if isinstance(error, Leaked):
            self._record.secrets = (error.secret,)
        self._refuse(code_of(error), error.message, error.hint)

    def _refuse(self, code: Code, detail: str, hint: str = "") -> None:
        denial = Denial.of(self._request, self._verdict, code, detail, hint)
        self._answering = True
        self._record.body_out = 0 if self._head.method == "HEAD" else len(denial.body)
        self._end(code=code, error=detail or None)
        self.client.refuse(denial)
        self.client.exchange_done()

    def _end(self, *, code: Code | None = None, error: str | None = None) -> None:
        if self._answering and not self._tunnel and code is None:
            self._record.body_out = self.client.answer_octets
        if self._capturing is not None:
            self._capturing.end()
        self._record.end(self._request, self._verdict, code=code, error=error)
        self._attempt.let_go(self.gateway.gathered)
