"""The opening handshake of a WebSocket (RFC 6455 §4), as far as it protects what the policy decided. Without I/O.

After the handshake the gateway passes octets on, and reads them only where answers are scrubbed. Both sides must therefore have
meant it: a server that sends a 101 without having understood the handshake (one that relays somebody else's status, say) still
reads HTTP, and what comes through the tunnel would be requests that nobody has decided about. The proof is
``Sec-WebSocket-Accept``, which only a server that speaks the protocol computes from the client's key.

Subprotocols and extensions, compression among them, are agreed between client and server; the client rejects what it did not
offer (§4.1). Where answers are scrubbed no extension is offered to the server, and none may be accepted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

from outward.core import ClientError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outward.gateway.http1 import RequestHead, ResponseHead

VERSION: Final = "13"

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_KEY_OCTETS: Final = 16


def accept_of(key: str) -> str:
    """The ``Sec-WebSocket-Accept`` that proves that the server has understood a handshake with ``key`` (§4.2.2)."""
    # RFC 6455 prescribes SHA-1; it has to be recognised, not to resist anyone.
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode("latin-1"), usedforsecurity=False).digest()).decode()


def check_request(head: RequestHead) -> None:
    """Raises :class:`ClientError` for an upgrade to WebSocket that is not a handshake as in §4.2.1.

    Only what would reach the server in a form that it may take for something else: another method, a body, a key that is
    none or several, another version.
    """
    if head.method != "GET" or head.length:
        raise ClientError("a WebSocket is opened with GET and without a body")
    _key_of(head)
    versions = [value for name, _, value in head.fields if name == "sec-websocket-version"]
    if versions != [VERSION]:
        raise ClientError(f"the Sec-WebSocket-Version is not {VERSION}")


def check_answer(request: RequestHead, answer: ResponseHead) -> None:
    """Raises :class:`UpstreamError` for a 101 that is not the answer to ``request`` (§4.1, points 2 to 4)."""
    if _tokens(answer.values("upgrade")) != ["websocket"]:
        raise UpstreamError("the server switched to another protocol than WebSocket")
    if "upgrade" not in _tokens(answer.values("connection")):
        raise UpstreamError("the server switched protocols without saying so in its Connection field")
    if answer.values("sec-websocket-accept") != [accept_of(_key_of(request))]:
        raise UpstreamError("the server switched protocols without having understood the WebSocket handshake")


def check_unextended(answer: ResponseHead) -> None:
    """Raises :class:`UpstreamError` for an extension (§9): what it makes of the messages could not be scrubbed."""
    if any(answer.values("sec-websocket-extensions")):
        raise UpstreamError("the server uses an extension of WebSocket that it was not asked for")


def _key_of(head: RequestHead) -> str:
    keys = [value for name, _, value in head.fields if name == "sec-websocket-key"]
    if len(keys) != 1:
        raise ClientError(f"there are {len(keys)} Sec-WebSocket-Key fields")
    try:
        size = len(base64.b64decode(keys[0], validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != _KEY_OCTETS:
        raise ClientError(f"the Sec-WebSocket-Key is not {_KEY_OCTETS} octets in base64")
    return keys[0]


def _tokens(values: Iterable[str]) -> list[str]:
    return [token for value in values for part in value.split(",") if (token := part.strip(" \t").lower())]
