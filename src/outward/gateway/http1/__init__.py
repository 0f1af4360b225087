"""HTTP/1.1 without I/O (RFC 9112): heads and bodies, parsed strictly and written anew.

A head is accepted only if it matches the grammar as a whole, octet by octet; what does not is a
:class:`~outward.core.ClientError` or :class:`~outward.core.UpstreamError`. Nothing of the original octets is passed on:
what goes out is serialised from the parsed form.
"""

from outward.gateway.http1.body import Body, ChunkedBody, body_reader, chunk
from outward.gateway.http1.head import (
    CHUNKED,
    HOP_BY_HOP,
    MAX_HEAD,
    UNTIL_CLOSE,
    Field,
    RequestHead,
    ResponseHead,
    codings,
    parse_request,
    parse_response,
    response_framing,
    split_head,
)

__all__ = [
    "CHUNKED",
    "HOP_BY_HOP",
    "MAX_HEAD",
    "UNTIL_CLOSE",
    "Body",
    "ChunkedBody",
    "Field",
    "RequestHead",
    "ResponseHead",
    "body_reader",
    "chunk",
    "codings",
    "parse_request",
    "parse_response",
    "response_framing",
    "split_head",
]
