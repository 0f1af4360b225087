"""A server of endless answers: one event a second on each connection, with the time at which it was written.

Runs in a process of its own, in plain HTTP behind the upstream: ``python -m bench.events``. Prints its port.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

import uvloop

PERIOD: Final = 1.0
"""Seconds between two events of one stream. Streams begin one after the other, so their events are spread evenly."""

_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._seen = b""
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._seen.endswith(b"\r\n\r\n") and self._next is None:
            self._transport.write(_HEAD)
            self._send(self._loop.time())

    def _send(self, due: float) -> None:
        line = b"data: %d\n\n" % time.monotonic_ns()
        self._transport.write(b"%x\r\n%b\r\n" % (len(line), line))
        self._next = self._loop.call_at(due + PERIOD, self._send, due + PERIOD)

    def connection_lost(self, _: Exception | None) -> None:
        if self._next is not None:
            self._next.cancel()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Stream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
