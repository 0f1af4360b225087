"""A server that shows all that it was sent, in every form, never shows the client a secret.

For every form of injection, in header and body, over both versions of HTTP and through a WebSocket; each attack works where the
policy says ``redact: false``.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from outward.gateway.websocket import accept_of
from outward.gateway.websocket_frames import frame
from tests.support.codings import ENCODERS
from tests.support.http2 import http2
from tests.support.http2_server import Http2Server, Stream
from tests.support.search import files_with, found
from tests.support.upstream import Upstream, read_request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator

    import trustme

    from tests.support.serve import Serve

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
ODD = 'p/t+REAL=01 23&45\\67%89"ab<cdef'
USER = "someone"

FORMS = {
    # What a destination injects, and how its client asks for it: the query, fields, the body.
    "header": ("{header: x-api-key, secret: SECRET}", "", "", ""),
    "value": ('{header: authorization, value: "Bearer {SECRET}"}', "", "", ""),
    "basic": (f"{{basic: {{username: {USER}, secret: SECRET}}}}", "", "", ""),
    "query": ("{query: key, secret: SECRET}", "", "", ""),
    "cookie": ("{cookie: sid, secret: SECRET}", "", "", ""),
    "in-header": ("{placeholder: SECRET, in: [header]}", "", "x-token: STAND_IN", ""),
    "in-basic": ("{placeholder: SECRET, in: [basic]}", "", "authorization: Basic PAIR", ""),
    "in-query": ("{placeholder: SECRET, in: [query]}", "?token=QUOTED", "", ""),
    "in-json": ("{placeholder: SECRET, in: [body]}", "", "content-type: application/json", '{"token": "STAND_IN"}'),
    "in-form": (
        "{placeholder: SECRET, in: [body]}",
        "",
        "content-type: application/x-www-form-urlencoded",
        "t=QUOTED",
    ),
    "sigv4": (
        # What is signed with never goes out; the session's token does.
        "{sigv4: {access_key: access, secret_key: signing, session_token: SECRET, service: execute-api, region: eu-west-1}}",
        "",
        "",
        "",
    ),
}
NAMES = [
    (form, secret)
    for form in FORMS
    for secret in ("key", "odd")
    if secret == "key" or form not in {"cookie", "sigv4"}  # which cannot hold the other one
]
STAND_INS = {"key": "sk-ant-test-FAKE-9876543210jihgfedcba", "odd": "odd-test-FAKE-98765432-10fedcba"}
VALUES = {"key": KEY, "odd": ODD}
ENVIRONMENT = {
    "KEY": KEY,
    "ODD": ODD,
    "ACCESS": "AKIAIOSFODNN7EXAMPLE",
    "SIGNING": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
}

TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "base64": b64encode,
    "base64 shifted by one": lambda data: b64encode(b"x" + data),
    "base64 shifted by two": lambda data: b64encode(b"xy" + data),
    "base64url": lambda data: urlsafe_b64encode(data).rstrip(b"="),
    "url": lambda data: quote(data, safe="").encode(),
    "form": lambda data: quote_plus(data).encode(),
    "json": lambda data: json.dumps(data.decode("latin-1")).encode(),
    "json in json": lambda data: json.dumps(json.dumps(data.decode("latin-1"))).encode(),
    "html": lambda data: html.escape(data.decode("latin-1")).encode(),
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
}
SHAPES = [*TEXTS, "chunked", *ENCODERS]
POLICY = """
secrets:
  key: {{env: KEY, placeholder: {key}}}
  odd: {{env: ODD, placeholder: {odd}}}
  access: {{env: ACCESS}}
  signing: {{env: SIGNING}}
destinations:
"""
DESTINATION = """
  - host: {host}
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{inject}]
    redact: {redact}
"""


def host_of(form: str, secret: str, *, redact: bool) -> str:
    return f"{form}.{secret}.{'kept' if redact else 'open'}.test"


HOSTS = [host_of(form, secret, redact=redact) for form, secret in NAMES for redact in (True, False)]


def policy(port: int) -> str:
    text = POLICY.format(**STAND_INS)
    for form, secret in NAMES:
        for redact in (True, False):
            text += DESTINATION.format(
                host=host_of(form, secret, redact=redact),
                port=port,
                inject=FORMS[form][0].replace("SECRET", secret),
                redact=str(redact).lower(),
            )
    return text


def asked(form: str, secret: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """The query, the fields and the body of a client that has only the placeholder."""
    stand_in = STAND_INS[secret]
    filled = [
        text.replace("STAND_IN", stand_in)
        .replace("QUOTED", quote(stand_in, safe=""))
        .replace("PAIR", b64encode(f"{USER}:{stand_in}".encode()).decode())
        for text in FORMS[form][1:]
    ]
    name, _, value = filled[1].partition(": ")
    return filled[0], [(name, value)] if name else [], filled[2].encode()


def said(
    shape: str, target: str, fields: Iterable[tuple[str, str]], body: bytes
) -> tuple[list[tuple[str, str]], bytes]:
    """The answer's fields and body: everything at once, and each value by itself."""
    values = [value.encode("latin-1") for _, value in fields] + [target.encode("latin-1"), body]
    encode = TEXTS.get(shape, bytes)
    shown = b"\n".join(encode(value) for value in [b"\n".join(values), *values])
    if shape in ENCODERS:
        return [("content-encoding", shape.partition(" ")[0])], ENCODERS[shape](shown)
    short = [encode(value).decode("latin-1") for value in values if value and b"\n" not in encode(value)]
    pairs = [
        pair for text in short for pair in (("location", f"/{text}"), ("set-cookie", f"a={text}"), ("x-echo", text))
    ]
    return pairs, shown


async def http1_echo(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (seen := await read_request(reader)) is not None:
        shape = SHAPES[int(seen.target[1:].partition("?")[0])]
        fields, body = said(shape, seen.target, seen.headers, seen.body)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        if shape == "chunked":
            writer.write(f"HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n".encode("latin-1"))
            for octet in body:
                writer.write(b"1\r\n%c\r\n" % octet)
            writer.write(b"0\r\nx-trailer: %b\r\n\r\n" % body.replace(b"\n", b" ")[:8000])
        else:
            writer.write(f"HTTP/1.1 200 OK\r\n{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        await writer.drain()


async def http2_echo(_: Http2Server, stream: Stream) -> None:
    body = await stream.read()
    shape = SHAPES[int(stream[":path"][1:].partition("?")[0])]
    fields, shown = said(shape, stream[":path"], stream.headers, body)
    stream.head(200, *fields)
    for start in range(0, len(shown), 7 if shape == "chunked" else len(shown)):
        await stream.send(shown[start : start + (7 if shape == "chunked" else len(shown))])
    stream.trailers(("x-trailer", shown.replace(b"\n", b" ")[:8000].decode("latin-1") if shape in TEXTS else "none"))


@pytest.fixture(params=[1, 2])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def gateway(
    version: int, serve: Callable[..., Serve], server_ca: trustme.CA, upstream: Callable[..., Upstream]
) -> Iterator[Serve]:
    told = ("--listen", "127.0.0.1:0", "--debug")
    if version == 1:
        yield serve(policy(upstream(*HOSTS, handler=http1_echo).port), *told, env=ENVIRONMENT)
        return
    server = Http2Server(server_ca, *HOSTS, handler=http2_echo)
    yield serve(policy(server.port), *told, env=ENVIRONMENT)
    server.close()
    assert server.errors == []


def shown_to(gateway: Serve, version: int, host: str, form: str, secret: str) -> Iterator[tuple[str, list[bytes]]]:
    """For each shape of the echo all that the client gets."""
    query, fields, body = asked(form, secret)
    method = "POST" if body else "GET"
    if version == 1:
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        with gateway.tunnel(host) as client:
            for number, shape in enumerate(SHAPES):
                shown = client.request(method, f"/{number}{query}", host, head, body)
                assert shown.status == 200, shown.body
                yield shape, [shown.raw, shown.body, *client.__dict__.pop("trailers", [])]
    else:
        with http2(gateway, host) as client2:
            for number, shape in enumerate(SHAPES):
                got = client2.request(method, f"/{number}{query}", *fields, body=body)
                assert (got.status, got.ended) == (200, True), got
                values = [*got.headers.values(), *(got.trailers or {}).values()]
                yield shape, ["\n".join(values).encode("latin-1"), got.body]


def test_nothing_comes_back_in_any_form(gateway: Serve, version: int) -> None:
    for form, secret in NAMES:
        for redact in (False, True):
            host = host_of(form, secret, redact=redact)
            for shape, shown in shown_to(gateway, version, host, form, secret):
                hits = set[str]().union(*(found(VALUES[secret], part) for part in shown))
                assert bool(hits) is not redact, (form, secret, shape, hits, shown)
    gateway.stop()
    assert len(gateway.stderr.read_text().splitlines()) > len(gateway.journal()) > 0, "there was something to tell"
    for value in VALUES.values():
        assert files_with(value, [gateway.directory]) == [], "nor does anything else keep it"


# -- through a WebSocket

SWITCH = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
)
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
ASKING = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {NONCE}\r\nSec-WebSocket-Version: 13\r\n"
CLOSE = 0x88


async def websocket_echo(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says in a message for each form what it was sent, and closes."""
    seen = await read_request(reader, body=False)
    assert seen is not None
    writer.write(SWITCH.format(accept_of(seen["sec-websocket-key"])).encode())
    for shape in TEXTS:
        shown = said(shape, seen.target, seen.headers, b"")[1]
        half = len(shown) // 2
        writer.write(frame(0x81, shown) + frame(0x01, shown[:half]) + frame(0x89, b"") + frame(0x80, shown[half:]))
    writer.write(frame(CLOSE, b"\x03\xe8"))
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("redact", [False, True])
def test_nothing_comes_back_through_a_websocket(
    serve: Callable[..., Serve], upstream: Callable[..., Upstream], redact: bool
) -> None:
    gateway = serve(policy(upstream(*HOSTS, handler=websocket_echo).port), env=ENVIRONMENT)
    for form, secret in NAMES:
        query, fields, body = asked(form, secret)
        if body:
            continue  # an upgrade has none
        host = host_of(form, secret, redact=redact)
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        with gateway.tunnel(host) as client:
            client.send(f"GET /ws{query} HTTP/1.1\r\nHost: {host}\r\n{ASKING}{head}\r\n".encode())
            client.read_head()
            while not client.buffer.endswith(frame(CLOSE, b"\x03\xe8")):
                assert client.receive()
            # The heads of frames would be taken for letters of what they hold.
            messages = messages_of(client.buffer)
        assert len(messages) == 2 * len(TEXTS)
        for shape, shown in zip([shape for shape in TEXTS for _ in range(2)], messages, strict=True):
            hits = found(VALUES[secret], shown)
            assert bool(hits) is not redact, (form, secret, shape, hits, shown)


def messages_of(octets: bytes) -> list[bytes]:
    """The messages in some frames that are not masked; control frames are left out."""
    messages, position, message = [], 0, b""
    while position < len(octets):
        first, size = octets[position], octets[position + 1]
        position += 2
        if size == 126:
            size = int.from_bytes(octets[position : position + 2], "big")
            position += 2
        payload, position = octets[position : position + size], position + size
        if first & 0x08:
            continue
        message += payload
        if first & 0x80:
            messages.append(message)
            message = b""
    return messages
