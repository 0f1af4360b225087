"""What waits in a connection whose reader pauses is not lost when the other side hangs up."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, cast

import pytest
import uvloop

from outward.gateway.upstream import bounded

if TYPE_CHECKING:
    import trustme

SIZE = 100_000  # less than TLS receives ahead by default


class Pausing(asyncio.Protocol):
    """Reads nothing until it is told to."""

    def __init__(self, *, careful: bool) -> None:
        self._careful = careful
        self.connected = asyncio.Event()
        self.lost = asyncio.Event()
        self.count = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = bounded(transport) if self._careful else cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self.connected.set()

    def data_received(self, data: bytes) -> None:
        self.count += len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


def say_and_hang_up(port: int, context: ssl.SSLContext) -> None:
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="a.test") as sock:
        sock.sendall(b"x" * SIZE)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)


async def received(ca: trustme.CA, *, careful: bool) -> int:
    loop = asyncio.get_running_loop()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("a.test").configure_cert(ours)
    ca.configure_trust(theirs)
    reader = Pausing(careful=careful)
    server = await loop.create_server(lambda: reader, "127.0.0.1", 0, ssl=ours)
    peer = loop.run_in_executor(None, say_and_hang_up, server.sockets[0].getsockname()[1], theirs)
    await reader.connected.wait()
    await asyncio.sleep(0.3)  # long enough for everything to have arrived, the end included
    if not reader.lost.is_set():
        reader.transport.resume_reading()
    await reader.lost.wait()
    await peer
    server.close()
    return reader.count


@pytest.mark.parametrize("careful", [True, False])
def test_what_was_said_before_the_end_waits_for_its_reader(server_ca: trustme.CA, careful: bool) -> None:
    loop = uvloop.new_event_loop()
    try:
        count = loop.run_until_complete(received(server_ca, careful=careful))
    finally:
        loop.close()
    assert (count == SIZE) is careful, "without a bound the end is lost"
