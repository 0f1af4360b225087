"""SOCKS5 from the client's side, written apart from the program under test."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.client import Connection

NO_LOGIN = b"\x05\x01\x00"


def name_request(host: bytes, port: int = 443, command: int = 1) -> bytes:
    return bytes((5, command, 0, 3, len(host))) + host + port.to_bytes(2, "big")


def address_request(host: str, port: int = 443) -> bytes:
    address = ip_address(host)
    kind = 1 if address.version == 4 else 4
    return bytes((5, 1, 0, kind)) + address.packed + port.to_bytes(2, "big")


def login_message(name: str, token: str) -> bytes:
    return bytes((1, len(name))) + name.encode() + bytes((len(token),)) + token.encode()


def receive(client: Connection, count: int) -> bytes:
    """Exactly so many octets: nothing else may come unasked."""
    while len(client.buffer) < count:
        if not client.receive():
            raise ConnectionResetError(f"closed after {client.buffer!r}")
    data, client.buffer = client.buffer[:count], client.buffer[count:]
    return data


def open_to(client: Connection, request: bytes) -> int:
    """Greets without logging in and asks: the reply's code."""
    client.send(NO_LOGIN)
    assert receive(client, 2) == b"\x05\x00"
    client.send(request)
    return reply_code(client)


def reply_code(client: Connection) -> int:
    reply = receive(client, 10)
    assert reply[0] == 5
    assert reply[2:] == b"\x00\x01" + bytes(6)
    return reply[1]
