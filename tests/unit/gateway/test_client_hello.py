"""ClientHello: real ones made by OpenSSL, cut and broken in every place."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.gateway.client_hello import parse_client_hello


def hello(name: str | None) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


GOOD = hello("API.example.com")


def test_the_name_is_canonical() -> None:
    parsed = parse_client_hello(GOOD)
    assert parsed is not None
    assert parsed.sni == "api.example.com"
    assert not parsed.encrypted


@pytest.mark.parametrize("name", [None, "127.0.0.1"])
def test_no_name(name: str | None) -> None:
    parsed = parse_client_hello(hello(name))
    assert parsed is not None
    assert parsed.sni is None


def test_a_hello_cut_into_records() -> None:
    body = GOOD[5:]
    cut = b"".join(b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p for p in (body[:3], body[3:90], body[90:]))
    assert parse_client_hello(cut) == parse_client_hello(GOOD)


@given(st.integers(0, len(GOOD) - 1))
def test_a_part_is_never_enough(size: int) -> None:
    assert parse_client_hello(GOOD[:size]) is None


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_octet_may_be_wrong(position: int, octet: int) -> None:
    broken = GOOD[:position] + bytes([octet]) + GOOD[position + 1 :]
    with contextlib.suppress(ClientError):  # the only exception that may leave
        parse_client_hello(broken)


@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    with contextlib.suppress(ClientError):
        parse_client_hello(data)


def _with_name(raw: bytes) -> bytes:
    entry = b"\0" + len(raw).to_bytes(2, "big") + raw
    names = len(entry).to_bytes(2, "big") + entry
    extension = b"\0\0" + len(names).to_bytes(2, "big") + names
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    body += len(extension).to_bytes(2, "big") + extension
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_the_handmade_hello_is_good() -> None:
    parsed = parse_client_hello(_with_name(b"good.example"))
    assert parsed is not None
    assert parsed.sni == "good.example"


@pytest.mark.parametrize(
    "name", [b"evil\0.good.example", b"", b"a b", b"b\xc3\xbccher.example", b"0x7f.1", b"*.example"]
)
def test_an_odd_name_is_refused(name: bytes) -> None:
    with pytest.raises(ClientError):
        parse_client_hello(_with_name(name))


def test_plain_http_is_not_tls() -> None:
    with pytest.raises(ClientError):
        parse_client_hello(b"GET / HTTP/1.1\r\n")
