"""The opening handshake, field by field."""

from __future__ import annotations

import pytest

from outward.core import ClientError, UpstreamError
from outward.gateway.http1 import RequestHead, ResponseHead, parse_request, parse_response
from outward.gateway.websocket import accept_of, check_answer, check_request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3, with its answer
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

FIELDS = f"Host: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: {KEY}\nSec-WebSocket-Version: 13"
ANSWER = f"Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {ACCEPT}"


def request(fields: str = FIELDS, line: str = "GET /ws HTTP/1.1") -> RequestHead:
    return parse_request(f"{line}\n{fields}\n\n".replace("\n", "\r\n").encode())


def answer(fields: str = ANSWER) -> ResponseHead:
    return parse_response(f"HTTP/1.1 101 Switching Protocols\n{fields}\n\n".replace("\n", "\r\n").encode())


def test_the_example_of_the_rfc() -> None:
    assert accept_of(KEY) == ACCEPT
    check_request(request())
    check_answer(request(), answer())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("GET /ws", "POST /ws"),
        ("Host: a", "Host: a\nContent-Length: 5"),
        ("Host: a", "Host: a\nTransfer-Encoding: chunked"),
        (f"Sec-WebSocket-Key: {KEY}", "X: y"),
        (f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Key: {KEY}\nSec-WebSocket-Key: {KEY}"),
        (KEY, ""),
        (KEY, "short"),
        (KEY, KEY[:-4]),
        (KEY, KEY + "AAAA"),
        (KEY, KEY.replace("d", "*", 1)),
        (KEY, KEY.replace("d", "é", 1)),
        (KEY, f"{KEY}, {KEY}"),
        ("Sec-WebSocket-Version: 13", "X: y"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\nSec-WebSocket-Version: 8"),
    ],
)
def test_what_is_no_handshake_is_refused(before: str, after: str) -> None:
    whole = f"GET /ws HTTP/1.1\n{FIELDS}"
    assert before in whole
    head = parse_request((whole.replace(before, after) + "\n\n").replace("\n", "\r\n").encode("latin-1"))
    assert head.websocket
    with pytest.raises(ClientError):
        check_request(head)


@pytest.mark.parametrize("fields", [ANSWER.replace("websocket", "WebSocket"), ANSWER.replace("n: U", "n: x, u")])
def test_tokens_are_compared_without_case(fields: str) -> None:
    check_answer(request(), answer(fields))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Upgrade: websocket\n", ""),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c"),
        ("Upgrade: websocket", "Upgrade: websocket\nUpgrade: h2c"),
        ("Connection: Upgrade", "Connection: keep-alive"),
        ("Connection: Upgrade\n", ""),
        (f"Sec-WebSocket-Accept: {ACCEPT}", "X: y"),
        (ACCEPT, ACCEPT.lower()),
        (ACCEPT, accept_of(KEY.lower())),
        (ACCEPT, KEY),
        (ACCEPT, f"{ACCEPT}\nSec-WebSocket-Accept: {ACCEPT}"),
    ],
)
def test_a_switch_that_proves_nothing_is_the_servers_fault(before: str, after: str) -> None:
    assert before in ANSWER
    with pytest.raises(UpstreamError):
        check_answer(request(), answer(ANSWER.replace(before, after)))
