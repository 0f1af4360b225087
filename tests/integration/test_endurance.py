"""Large transfers in flat memory, and a gateway that is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.upstream import Upstream, answer, read_request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.serve import Serve

MIB = 1 << 20
SIZE = int(os.environ.get("TRANSFER_MIB", "256")) * MIB
"""More than the memory that is allowed; TRANSFER_MIB=2048 for the long run."""

MEMORY = 120 * MIB

KEY = "sk-ant-test-REAL-0123456789abcdefghij"
POLICY = """
secrets:
  key: {{env: KEY}}
destinations:
  - host: api.test
    connect_to: 127.0.0.1:{port}
    ca: CA
    allow: ["* /**"]
    inject: [{{header: x-api-key, secret: key}}]
"""
BLOCK = bytes(range(256)) * 1024


async def swallow(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes an upload and says how much arrived; slowly at first, so that the client is held up."""
    seen = await read_request(reader, body=False)
    assert seen is not None
    left, count = int(seen["content-length"]), 0
    while count < left:
        count += len(await reader.read(MIB))
    writer.write(answer(body=str(count).encode()))
    await writer.drain()


async def pour(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives a download, chunked or of known length."""
    seen = await read_request(reader)
    assert seen is not None
    chunked = seen.target.endswith("chunked")
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
    block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
    for _ in range(SIZE // len(BLOCK)):
        writer.write(block)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def test_an_upload_takes_no_memory(upstream: Callable[..., Upstream], serve: Callable[..., Serve]) -> None:
    gateway = serve(POLICY.format(port=upstream("api.test", handler=swallow).port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        client.send(b"PUT /big HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(BLOCK)):
            client.send(BLOCK)
        assert client.read_answer().body == str(SIZE).encode()
    assert gateway.peak() < MEMORY


@pytest.mark.parametrize("path", ["/length", "/chunked"])
def test_a_download_takes_no_memory_even_if_nobody_reads(
    upstream: Callable[..., Upstream], serve: Callable[..., Serve], path: str
) -> None:
    gateway = serve(POLICY.format(port=upstream("api.test", handler=pour).port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
        client.read_head()
        # Nobody reads for a while: the gateway has to hold the server up, not to fill its memory.
        threading.Event().wait(1)
        count, client.buffer = len(client.buffer), b""
        while count < SIZE:
            assert client.receive()
            count, client.buffer = count + len(client.buffer), b""
    assert gateway.peak() < MEMORY


def test_whatever_reached_the_server_has_its_start(
    upstream: Callable[..., Upstream], serve: Callable[..., Serve], tmp_path: Path
) -> None:
    """``kill -9`` in the middle of 200 requests: no request without its record, and the chain holds."""
    enough = threading.Event()

    async def count(server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (seen := await read_request(reader)) is not None:
            server.seen.append(seen)
            if len(server.seen) >= 120:
                enough.set()
            writer.write(answer(body=b"ok"))
            await writer.drain()

    server = upstream("api.test", handler=count)
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})

    def work(worker: int) -> None:
        try:
            with gateway.tunnel("api.test") as client:
                for number in range(25):
                    client.request("GET", f"/{worker}/{number}", "api.test")
        except OSError:
            return

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    assert enough.wait(30)
    os.kill(gateway.process.pid, signal.SIGKILL)
    for thread in threads:
        thread.join(30)
    gateway.process.wait()

    verified = gateway.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    started = [record["path"] for record in gateway.journal() if record["phase"] == "start"]
    arrived = [seen.target for seen in server.seen]
    assert len(arrived) >= 120
    assert set(arrived) <= set(started)
    assert any(r["phase"] == "end" for r in gateway.journal())

    (file,) = (gateway.state / "journal").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    position = sum(map(len, lines[:40])) + 30
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    broken = gateway.run("audit", "verify", "--json")
    assert broken.returncode == 1
    assert "41" in broken.stdout


def test_a_full_journal_stops_everything(serve: Callable[..., Serve], upstream: Callable[..., Upstream]) -> None:
    server = upstream("api.test")
    gateway = serve(POLICY.format(port=server.port), env={"KEY": KEY})
    with gateway.tunnel("api.test") as client:
        assert client.request("GET", "/a", "api.test").status == 200
        _limit_file_size(gateway.process.pid)
        refused = client.request("GET", "/b", "api.test")
        assert (refused.status, refused.code) == (503, "journal_unavailable")
    assert [seen.target for seen in server.seen] == ["/a"]


def _limit_file_size(pid: int) -> None:
    """From now on no file of the process can grow: what a full disk looks like from inside."""
    import resource

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, 1))
