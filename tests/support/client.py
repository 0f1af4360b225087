"""A client that sends exactly the octets it is told to."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    """An answer as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The refusal's code."""
        return str(self.json()["error"]["code"])


class Connection:
    """A connection to the gateway, perhaps inside CONNECT and TLS."""

    def __init__(self, address: str | socket.socket, *, timeout: float = 15) -> None:
        if isinstance(address, socket.socket):
            self.sock = address
            self.sock.settimeout(timeout)
        elif address.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            self.sock = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self) -> bool:
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def connect(self, target: str, headers: str = "") -> Answer:
        self.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{headers}\r\n".encode("latin-1"))
        return self.read_answer("CONNECT")

    def start_tls(self, ca: str, sni: str | None, alpn: tuple[str, ...] = ()) -> None:
        context = ssl.create_default_context(cafile=ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        if sni is None:
            context.check_hostname = False
        assert not self.buffer
        self.sock = context.wrap_socket(self.sock, server_hostname=sni)

    def read_head(self) -> tuple[int, list[tuple[str, str]], bytes]:
        while b"\r\n\r\n" not in self.buffer:
            if not self.receive():
                raise ConnectionResetError(f"closed after {self.buffer!r}")
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
        return int(lines[0].split(" ")[1]), headers, raw

    def read_answer(self, method: str = "GET") -> Answer:
        status, headers, raw = self.read_head()
        known = dict(headers)
        if method == "HEAD" or status in {204, 304} or status < 200 or (method == "CONNECT" and status == 200):
            return Answer(status, headers, b"", raw)
        if known.get("transfer-encoding") == "chunked":
            return Answer(status, headers, self._read_chunks(), raw)
        if "content-length" in known:
            length = int(known["content-length"])
            while len(self.buffer) < length:
                if not self.receive():
                    raise ConnectionResetError("closed in the middle of a body")
            body, self.buffer = self.buffer[:length], self.buffer[length:]
            return Answer(status, headers, body, raw)
        while self.receive():
            pass
        body, self.buffer = self.buffer, b""
        return Answer(status, headers, body, raw)

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self._read_line(), 16)
            if size == 0:
                self.trailers = []
                while line := self._read_line():
                    self.trailers.append(line)
                return body
            while len(self.buffer) < size + 2:
                if not self.receive():
                    raise ConnectionResetError("closed in the middle of a chunk")
            body, self.buffer = body + self.buffer[:size], self.buffer[size + 2 :]

    def _read_line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if not self.receive():
                raise ConnectionResetError("closed in the middle of a line")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def request(self, method: str, path: str, host: str, headers: str = "", body: bytes = b"") -> Answer:
        framing = f"Content-Length: {len(body)}\r\n" if body else ""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{framing}\r\n".encode("latin-1") + body)
        return self.read_answer(method)

    def closed(self) -> bool:
        """Whether the other side closes without sending more."""
        return not self.receive() and not self.buffer


def push(sock: socket.socket, count: int, *, patience: float) -> int:
    """Sends ``count`` octets, or as many as go before nothing moves for ``patience`` seconds."""
    sock.settimeout(patience)
    sent = 0
    while sent < count:
        try:
            sent += sock.send(b"x" * min(65536, count - sent))
        except TimeoutError:
            break
    return sent
