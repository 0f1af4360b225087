"""HTTPS servers on loopback, each made of one function from what was asked to the reply."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from email.message import Message
    from io import BufferedIOBase

    import trustme


class Asked(NamedTuple):
    """One request as the server saw it."""

    method: str
    path: str
    query: str
    headers: Message
    body: bytes


class Reply(NamedTuple):
    """What the server says. A body in parts is streamed; without ``length`` as chunks.

    Or ``talk``: what it does with the connection, to its end, instead of answering.
    """

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/plain"),)
    length: int | None = None
    talk: Callable[[BufferedIOBase, BufferedIOBase], None] | None = None


Application = Callable[[Asked], Reply]


def unknown(asked: Asked) -> Reply:
    """What somebody without a good credential is told."""
    return Reply(401, b"who are you?\n", (("www-authenticate", 'Basic realm="site"'),))


class Site:
    """A server on 127.0.0.1, any free port, that knows ``credential`` as the only good value of ``header``.

    Whoever brings another gets 401, or what ``otherwise`` says. ``asked`` is what was served, ``turned_away`` what was not.
    """

    def __init__(
        self,
        ca: trustme.CA,
        host: str,
        credential: str | None,
        application: Application,
        *,
        header: str = "authorization",
        otherwise: Application = unknown,
    ) -> None:
        self.host = host
        self.asked: list[Asked] = []
        self.turned_away: list[Asked] = []
        self._credential = credential
        self._header = header
        self._otherwise = otherwise
        self._application = application
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(host).configure_cert(context)
        self._server = _Server(("127.0.0.1", 0), type("BoundHandler", (_Handler,), {"site": self}))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    def reply(self, asked: Asked) -> Reply:
        if self._credential is not None and asked.headers.get_all(self._header) != [self._credential]:
            self.turned_away.append(asked)
            return self._otherwise(asked)
        self.asked.append(asked)
        return self._application(asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away, or that do not trust us, are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
        """Says nothing on standard error."""

    def _any(self) -> None:
        path, _, query = self.path.partition("?")
        reply = self.site.reply(Asked(self.command, path, query, self.headers, self._body()))
        if reply.talk is not None:
            self.close_connection = True
            reply.talk(self.rfile, self.wfile)
            return
        whole = isinstance(reply.body, bytes)
        length = len(reply.body) if isinstance(reply.body, bytes) else reply.length
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header(*(("transfer-encoding", "chunked") if length is None else ("content-length", str(length))))
        self.end_headers()
        if self.command == "HEAD":
            return
        for part in [reply.body] if whole else reply.body:
            assert isinstance(part, bytes)
            self.wfile.write(part if length is not None else b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()
        if length is None:
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 (their names in the base class)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
