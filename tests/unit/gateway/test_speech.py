"""What a client says first, octet by octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.gateway.fronts.speech import MAX_METHOD, Speech, recognise
from outward.gateway.http1 import parse_request

HTTP = [
    b"GET / HTTP/1.1\r\n",
    b"GET /a?b=c HTTP/1.0\n",
    b"\r\n\r\nPOST /x HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"M-SEARCH * HTTP/1.1\r\n",
]
OTHER = [
    b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
    b"SSH-2.0-Go\r\n",
    b"EHLO localhost\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"GET /\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET / HTTPS/1.1\r\n",
    b"GET / HTTP/1.1 \r\n",
    b"RTSP\r\n",
]
AT_ONCE = [
    b"\0",
    b"\x80",
    b"\x15",
    b"\x17",
    b" ",
    b"GET  ",
    b"(",
    b"\0\0\0\x08\x04\xd2\x16\x2f",
    b"a" * (MAX_METHOD + 1),
]


@pytest.mark.parametrize("data", HTTP)
def test_http_is_seen_when_its_first_line_is_there(data: bytes) -> None:
    for size in range(1, len(data)):
        assert recognise(data[:size]) is None, data[:size]
    assert recognise(data) is Speech.HTTP
    assert recognise(data + b"Host: a\r\n\r\n") is Speech.HTTP


@pytest.mark.parametrize("data", OTHER)
def test_a_line_that_is_no_request(data: bytes) -> None:
    assert recognise(data) is Speech.OTHER


@pytest.mark.parametrize("data", AT_ONCE)
def test_what_cannot_become_http_is_not_waited_for(data: bytes) -> None:
    assert recognise(data) is Speech.OTHER


def test_tls_is_seen_at_once() -> None:
    assert recognise(b"\x16") is Speech.TLS
    assert recognise(b"\x16\x03\x01GET / HTTP/1.1\r\n") is Speech.TLS


@given(st.binary(min_size=1, max_size=80))
def test_what_is_settled_stays(data: bytes) -> None:
    said = [recognise(data[:size]) for size in range(1, len(data) + 1)]
    settled = [speech for speech in said if speech is not None]
    assert len(set(settled)) <= 1
    assert said == [None] * (len(said) - len(settled)) + settled


@given(st.binary(min_size=1, max_size=60))
def test_whatever_our_parser_takes_is_http(line: bytes) -> None:
    data = line + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    try:
        parse_request(data)
    except ClientError:
        return
    assert recognise(data) is Speech.HTTP
