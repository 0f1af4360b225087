"""A refusal that a gRPC client shows to its user (gRPC over HTTP/2, "Responses")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from outward.gateway.denial import Denial
    from outward.gateway.http1 import RequestHead
    from outward.gateway.http2.heads import FieldLine

_STATUS: Final = {
    # gRPC's own mapping of HTTP statuses (doc/http-grpc-status-mapping.md); 421 is like 400 to it.
    400: 13,  # INTERNAL
    403: 7,  # PERMISSION_DENIED
    407: 16,  # UNAUTHENTICATED
    421: 13,
    502: 14,  # UNAVAILABLE: the client may try again
    503: 14,
    504: 14,
}
_UNKNOWN: Final = 2

# A message is percent-encoded, but for what can be read as it is: space to tilde without the percent sign itself.
_PLAIN: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def is_grpc(head: RequestHead) -> bool:
    """Whether a request is gRPC's: its content type says so."""
    return any(key == "content-type" and value.lower().startswith("application/grpc") for key, _, value in head.fields)


def refusal(denial: Denial) -> list[FieldLine]:
    """What stands for the JSON body: "Trailers-Only", with its message and its hint in one line.

    A body is not possible besides. gRPC's core takes it for a message that is damaged, and shows neither.
    """
    error = json.loads(denial.body)["error"]
    text = f"{error['message']} {error.get('hint', '')}".strip()
    return [
        (b"content-type", b"application/grpc"),
        (b"x-outward-verdict", b"deny"),
        (b"grpc-status", b"%d" % _STATUS.get(denial.status, _UNKNOWN)),
        (b"grpc-message", quote(text, safe=_PLAIN).encode()),
    ]
