"""The upstream's answer on its way to a client that speaks HTTP/2 (docs/architecture.md, step 8). Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from outward.core import UpstreamError
from outward.gateway.answer import AnswerBody
from outward.gateway.http2.heads import field_list
from outward.gateway.rewrite import response_lines, trailer_section

if TYPE_CHECKING:
    from outward.gateway.http1 import ResponseHead
    from outward.gateway.http2.heads import FieldLine

_ACCEPT: Final = "sec-websocket-accept:"


class Http2Answer(AnswerBody):
    """Writes one answer anew: fields and octets, for a stream to frame."""

    __slots__ = ()

    def interim(self, head: ResponseHead) -> list[FieldLine]:
        """The fields of 100 or 103 (RFC 9113 §8.1)."""
        return self._fields(head.status, response_lines(head))

    def switching(self, head: ResponseHead) -> list[FieldLine]:
        """The fields of the 200 that stands for a 101 (RFC 8441 §5); the key was ours, and its proof is nobody else's."""
        return self._fields(200, [line for line in response_lines(head) if not line.lower().startswith(_ACCEPT)])

    def begin(self, head: ResponseHead, payload: bytes, *, whole: bool) -> tuple[list[FieldLine], bytes]:
        """The fields, and as much of the body as came along. ``whole``: there is no more, and no trailers.

        Raises :class:`UpstreamError` for a body that cannot be scrubbed, and for a success that is not the upgrade which was
        asked for: in HTTP/2 it would look like one.
        """
        if self._request.websocket and 200 <= head.status < 300:
            raise UpstreamError(f"the server answered {head.status} and did not open the WebSocket")
        body, announced = self._first(head, payload, whole=whole)
        lines = response_lines(head)
        # An empty body needs no announcement here: the stream's end comes along.
        if announced is not None and head.status != 204 and (announced or head.length is not None):
            lines.append(f"content-length: {announced}")
        return self._fields(head.status, lines), body

    def more(self, payload: bytes, *, done: bool) -> bytes:
        """More of the body."""
        return self._next(payload, done=done)

    def trailers(self, trailers: str) -> list[FieldLine]:
        """The trailers that may be passed on."""
        return field_list(trailer_section(trailers, self._scrubber).split("\r\n")[:-1]) if trailers else []

    def _fields(self, status: int, lines: list[str]) -> list[FieldLine]:
        text = "\r\n".join(lines)
        if self._scrubber is not None:
            text = self._scrubber.text(text)
        return [(b":status", b"%d" % status), *(field_list(text.split("\r\n")) if text else ())]
