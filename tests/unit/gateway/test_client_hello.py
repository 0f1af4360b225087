"""ClientHello: real ones made by OpenSSL, cut and broken in every place."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outward.core import ClientError
from outward.gateway.client_hello import parse_client_hello
from tests.support.hello import ECH, GREASE_ECH, client_hello, extension, protocols, server_name


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


def test_the_handmade_hello_is_good() -> None:
    parsed = parse_client_hello(client_hello(server_name(b"good.example")))
    assert parsed is not None
    assert parsed.sni == "good.example"


@pytest.mark.parametrize(
    "name", [b"evil\0.good.example", b"", b"a b", b"b\xc3\xbccher.example", b"0x7f.1", b"*.example"]
)
def test_an_odd_name_is_refused(name: bytes) -> None:
    with pytest.raises(ClientError):
        parse_client_hello(client_hello(server_name(name)))


def test_plain_http_is_not_tls() -> None:
    with pytest.raises(ClientError):
        parse_client_hello(b"GET / HTTP/1.1\r\n")


def test_what_else_a_hello_says() -> None:
    plain = parse_client_hello(client_hello(server_name(b"good.example"), protocols(b"h2", b"http/1.1")))
    assert plain is not None
    assert (plain.alpn, plain.encrypted) == ((b"h2", b"http/1.1"), False)
    hiding = parse_client_hello(client_hello(server_name(b"good.example"), extension(ECH, GREASE_ECH)))
    assert hiding is not None
    assert (hiding.alpn, hiding.encrypted) == ((), True)
    empty = parse_client_hello(client_hello(extension(ECH, b"")))
    assert empty is not None
    assert empty.encrypted


@pytest.mark.parametrize(
    "extensions",
    [
        (server_name(b"good.example"), server_name(b"evil.example")),
        (server_name(b"good.example"), server_name(b"good.example")),
        (protocols(b"h2"), protocols(b"http/1.1")),
        (extension(16, b"\0\x05\x02h2"),),  # longer than it is
        (extension(0, b"\0\0"),),
        (extension(0, b"\0\x04\x01\0\x01a"),),  # not a host_name
        (b"\0\0\0\x09",),  # cut short
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(extensions: tuple[bytes, ...]) -> None:
    with pytest.raises(ClientError):
        parse_client_hello(client_hello(*extensions))
